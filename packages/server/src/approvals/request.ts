import {
  type ApprovalDecision,
  type ApprovalId,
  type CallId,
  HoopishError,
  type RecordActor,
  type RecordBodies,
  type SessionId,
} from "@hoopish/protocol";

/** What happens to a request. */
export type Change = "requested" | "granted" | "denied" | "expired" | "used" | "reviewed";

/** Who said what, with what tells people apart. */
export interface Decision extends ApprovalDecision {
  readonly sub: string;
  readonly iss: string;
}

/**
 * Where a request stands. `until`: absolute end of a session's window. Ends are final: no state follows them but `used`
 * again, for a session.
 */
export type RequestState =
  | { readonly state: "pending" }
  | { readonly state: "approved"; readonly untilMs: number }
  | { readonly state: "used"; readonly atMs: number; readonly untilMs: number | undefined }
  | { readonly state: "denied" }
  | { readonly state: "expired" | "withdrawn"; readonly reason: string };

/** One request for approval, as the log tells it. */
export interface ApprovalRequest {
  readonly id: ApprovalId;
  readonly asked: RecordBodies["approval.requested"];
  readonly actor: RecordActor;
  readonly session: SessionId;
  readonly call: CallId;
  readonly requestedAtMs: number;
  readonly expiresAtMs: number;
  readonly decisions: Decision[];
  state: RequestState;
  brokeGlass: boolean;
  review: { readonly by: string; readonly at: string; readonly reason: string } | undefined;
  /** digestOf; undefined: it has ended, or its payload cannot be had any more, and it binds nothing. */
  digest: string | undefined;
  /** The last call that was held for it: the same bytes may come again. */
  lastCall: CallId;
}

export const isOver = ({ state }: ApprovalRequest): boolean =>
  state.state === "denied" ||
  state.state === "expired" ||
  state.state === "withdrawn" ||
  (state.state === "used" && state.untilMs === undefined);

/** Distinct people who said yes. */
export const yeses = ({ decisions }: ApprovalRequest): number =>
  decisions.filter(({ decision }) => decision === "approve").length;

/** Until when it may let a call through; undefined: it does not. */
export function openUntil({ state }: ApprovalRequest): number | undefined {
  if (state.state === "approved") return state.untilMs;
  return state.state === "used" ? state.untilMs : undefined;
}

export function deniedError(request: ApprovalRequest): HoopishError {
  const denial = request.decisions.find(({ decision }) => decision === "deny");
  return new HoopishError("approval_denied", `${denial?.by ?? "somebody"} denied this call: ${denial?.reason ?? ""}`);
}
