import type { ApprovalId, CallId, ErrorCode, RecordActor, RecordedOperation, SessionId } from "@hoopish/protocol";
import type { ApprovalConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";

/** A call that policy holds, as the relay describes it. */
export interface HeldCall {
  readonly call: CallId;
  readonly session: SessionId;
  readonly principal: Principal;
  readonly actor: RecordActor;
  readonly connection: string;
  readonly rule: string;
  /** Hash of the policy that held it. */
  readonly policy: string;
  readonly approval: ApprovalConfig;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
  readonly operation: RecordedOperation;
}

/**
 * Where a held call stands.
 * `granted`: it is approved (or a window of its session is open), and `use` lets it through.
 * `waiting`: `decided` settles when people have decided, its time is over, or `wait` is over.
 */
export type Hold =
  | { readonly state: "granted"; readonly approval: ApprovalId; readonly isNew: false }
  | {
      readonly state: "waiting";
      readonly approval: ApprovalId;
      /** This call made the request: the record of it must be appended in one transaction with call.decided. */
      readonly isNew: boolean;
      readonly expiresAtMs: number;
    };

/** Port of the relay. */
export interface ApprovalDesk {
  /**
   * Finds the request for exactly these bytes, caller, connection, rule and policy, or makes one (not yet visible to
   * approvers). @throws HoopishError rate_limited when too many of this caller's, or of all, wait; approval_denied when
   * this very request was denied and its time is not over.
   */
  hold(held: HeldCall): Hold;
  /** The draft of approval.requested, for the transaction of a new hold's call.decided. */
  requestedDraft(approval: ApprovalId): import("@hoopish/protocol").RecordDraft;
  /** That transaction is durable: approvers see it and are told. Or it failed: the request is forgotten. */
  published(approval: ApprovalId): void;
  abandoned(approval: ApprovalId): void;
  /** Settles as soon as it is decided or over, or after `waitMs`, or when `signal` aborts (then "pending"). */
  wait(approval: ApprovalId, waitMs: number, signal: AbortSignal): Promise<WaitResult>;
  /**
   * Takes the approval for this call, exactly once (a session's: each time, within its window), and is durable when it
   * resolves: approval.used. @throws HoopishError approval_pending, approval_denied, approval_expired (also: used by another call,
   * made under another policy, for other bytes)
   */
  use(approval: ApprovalId, held: HeldCall): Promise<void>;
  /** Its caller left while `call` waited. Does nothing where the same bytes came again in another call since, or somebody waits. */
  withdraw(approval: ApprovalId, call: CallId, reason: string): Promise<void>;
}

export type WaitResult =
  | { readonly result: "granted" }
  | { readonly result: "pending" }
  | { readonly result: "refused"; readonly code: ErrorCode; readonly message: string };
