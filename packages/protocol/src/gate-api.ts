import { z } from "zod";
import {
  type ApprovalId,
  type CallId,
  isApprovalId,
  isCallId,
  isLockId,
  isSessionId,
  type LockId,
  type SessionId,
} from "./ids.ts";

/**
 * The control API's part about the gate: approvals and locks. Paths are under /api/v1.
 *
 * GET    /approvals?state=pending|all|reviews&limit=            ApprovalList: what the caller asked for, or may decide
 * GET    /approvals/:id                                         ApprovalView, with the masked preview
 * POST   /approvals/:id/decisions    DecisionRequest            ApprovalView
 * POST   /approvals/:id/reviews      {reason}                   ApprovalView
 * GET    /approvals/events                                      NDJSON, pushed: ApprovalEvent; an empty line every 15 s
 * GET    /locks                                                 LockList
 * POST   /locks                      LockRequest                LockView
 * DELETE /locks/:id?reason=                                     LockView
 */

const time = z.iso.datetime();
const count = z.number().int().nonnegative();
const approvalId = z.custom<ApprovalId>(isApprovalId, "not an approval id");
const reasonText = z.string().trim().min(1).max(500);

/**
 * `pending`: waits for people · `approved`: enough said yes, and the call may go on, once (or, for a session, until
 * `windowUntil`) · `used`: it went on · `denied`, `expired`, `withdrawn`: it may not.
 */
export type ApprovalState = "pending" | "approved" | "denied" | "expired" | "withdrawn" | "used";

export interface ApprovalDecision {
  readonly by: string;
  readonly at: string;
  readonly decision: "approve" | "deny";
  readonly reason?: string;
  readonly breakGlass?: true;
}

export interface ApprovalView {
  readonly id: ApprovalId;
  readonly state: ApprovalState;
  readonly requestedAt: string;
  readonly expiresAt: string;
  /** Who asks, as rules know them. */
  readonly user: string;
  readonly connection: string;
  readonly session: SessionId;
  readonly call: CallId;
  readonly rule: string;
  /** What the session was opened for. */
  readonly reason?: string;
  readonly ticket?: string;
  readonly method: string;
  readonly path: string;
  readonly operation: {
    readonly kind: string;
    readonly model?: string;
    readonly rows?: number;
    readonly tokens?: number;
  };
  /** Bytes of the request's body. */
  readonly bytes: number;
  readonly scope: "call" | "session";
  readonly quorum: number;
  readonly groups: readonly string[];
  readonly decisions: readonly ApprovalDecision[];
  /** Of a session's approval, once approved. */
  readonly windowUntil?: string;
  readonly usedAt?: string;
  /** Why it ended without being used. */
  readonly endReason?: string;
  /** Earlier requests of this user for this rule and connection. */
  readonly before: { readonly requests: number; readonly approved: number; readonly denied: number };
  /** It broke the glass: who has reviewed that, or that it is owed. */
  readonly review?: { readonly owed: boolean; readonly by?: string; readonly at?: string; readonly reason?: string };
  /** What the caller of this API may do with it now. */
  readonly may: { readonly decide: boolean; readonly breakGlass: boolean; readonly review: boolean };
  /** Lines that show the request's body with values hidden; only where one approval is asked for. */
  readonly preview?: readonly string[];
}
export const approvalViewSchema: z.ZodType<ApprovalView> = z.object({
  id: approvalId,
  state: z.enum(["pending", "approved", "denied", "expired", "withdrawn", "used"]),
  requestedAt: time,
  expiresAt: time,
  user: z.string(),
  connection: z.string(),
  session: z.custom<SessionId>(isSessionId, "not a session id"),
  call: z.custom<CallId>(isCallId, "not a call id"),
  rule: z.string(),
  reason: z.string().exactOptional(),
  ticket: z.string().exactOptional(),
  method: z.string(),
  path: z.string(),
  operation: z.object({
    kind: z.string(),
    model: z.string().exactOptional(),
    rows: count.exactOptional(),
    tokens: count.exactOptional(),
  }),
  bytes: count,
  scope: z.enum(["call", "session"]),
  quorum: count,
  groups: z.array(z.string()),
  decisions: z.array(
    z.object({
      by: z.string(),
      at: time,
      decision: z.enum(["approve", "deny"]),
      reason: z.string().exactOptional(),
      breakGlass: z.literal(true).exactOptional(),
    }),
  ),
  windowUntil: time.exactOptional(),
  usedAt: time.exactOptional(),
  endReason: z.string().exactOptional(),
  before: z.object({ requests: count, approved: count, denied: count }),
  review: z
    .object({
      owed: z.boolean(),
      by: z.string().exactOptional(),
      at: time.exactOptional(),
      reason: z.string().exactOptional(),
    })
    .exactOptional(),
  may: z.object({ decide: z.boolean(), breakGlass: z.boolean(), review: z.boolean() }),
  preview: z.array(z.string()).exactOptional(),
});

export interface ApprovalList {
  readonly approvals: readonly ApprovalView[];
}
export const approvalListSchema: z.ZodType<ApprovalList> = z.object({ approvals: z.array(approvalViewSchema) });

/** `snapshot` once at the start for each that is pending, then each change as it happens. */
export interface ApprovalEvent {
  readonly event: "snapshot" | "ready" | "requested" | "granted" | "denied" | "expired" | "used" | "reviewed";
  readonly approval?: ApprovalView;
}
export const approvalEventSchema: z.ZodType<ApprovalEvent> = z.object({
  event: z.enum(["snapshot", "ready", "requested", "granted", "denied", "expired", "used", "reviewed"]),
  approval: approvalViewSchema.exactOptional(),
});

/** A denial and breaking the glass need a reason. */
export interface DecisionRequest {
  readonly decision: "approve" | "deny";
  readonly reason?: string;
  readonly breakGlass?: boolean;
}
export const decisionRequestSchema: z.ZodType<DecisionRequest> = z.strictObject({
  decision: z.enum(["approve", "deny"]),
  reason: reasonText.exactOptional(),
  breakGlass: z.boolean().exactOptional(),
});
export interface ReviewRequest {
  readonly reason: string;
}
export const reviewRequestSchema: z.ZodType<ReviewRequest> = z.strictObject({ reason: reasonText });

const lockKind = z.enum(["user", "agent", "connection"]);
export interface LockRequest {
  readonly kind: "user" | "agent" | "connection";
  readonly name: string;
  readonly reason: string;
}
export const lockRequestSchema: z.ZodType<LockRequest> = z.strictObject({
  kind: lockKind,
  name: z.string().min(1).max(256),
  reason: reasonText,
});
export interface LockView extends LockRequest {
  readonly id: LockId;
  readonly by: string;
  readonly at: string;
  readonly lifted?: { readonly by: string; readonly at: string; readonly reason: string };
  /** Live sessions that the lock ended; in the answer that set it. */
  readonly ended?: number;
}
export const lockViewSchema: z.ZodType<LockView> = z.object({
  id: z.custom<LockId>(isLockId, "not a lock id"),
  kind: lockKind,
  name: z.string(),
  reason: z.string(),
  by: z.string(),
  at: time,
  lifted: z.object({ by: z.string(), at: time, reason: z.string() }).exactOptional(),
  ended: count.exactOptional(),
});
export interface LockList {
  readonly locks: readonly LockView[];
}
export const lockListSchema: z.ZodType<LockList> = z.object({ locks: z.array(lockViewSchema) });
