import type { ApprovalView } from "@hoopish/protocol";
import type { Principal } from "../identity/principal.ts";
import { decideProblem, mayBreakGlass, mayReview } from "./eligibility.ts";
import type { ApprovalRequest } from "./request.ts";

export interface Viewer {
  readonly principal: Principal;
  readonly hasRole: boolean;
}

/** A request as this viewer may see it. `all`: every request at hand, for how often this was asked before. */
export function approvalView(
  request: ApprovalRequest,
  { principal, hasRole }: Viewer,
  breakGlass: readonly string[],
  all: readonly ApprovalRequest[],
): ApprovalView {
  const { asked, actor, state, decisions, review, brokeGlass } = request;
  const pending = state.state === "pending";
  const until = state.state === "approved" || state.state === "used" ? state.untilMs : undefined;
  const ended = state.state === "expired" || state.state === "withdrawn" ? state.reason : undefined;
  return {
    id: request.id,
    state: state.state,
    requestedAt: rfc3339(request.requestedAtMs),
    expiresAt: rfc3339(request.expiresAtMs),
    user: actor.name,
    connection: asked.connection,
    session: request.session,
    call: request.call,
    rule: asked.rule,
    ...(asked.reason === undefined ? {} : { reason: asked.reason }),
    ...(asked.ticket === undefined ? {} : { ticket: asked.ticket }),
    method: asked.method,
    path: asked.path,
    operation: asked.operation,
    bytes: asked.bytes,
    scope: asked.scope,
    quorum: asked.quorum,
    groups: asked.groups,
    decisions: decisions.map(({ sub: _, iss: __, ...decision }) => decision),
    ...(asked.scope === "session" && until !== undefined ? { windowUntil: rfc3339(until) } : {}),
    ...(state.state === "used" ? { usedAt: rfc3339(state.atMs) } : {}),
    ...(ended === undefined ? {} : { endReason: ended }),
    before: before(request, all),
    ...(brokeGlass ? { review: { owed: review === undefined, ...review } } : {}),
    may: {
      decide: pending && decideProblem(principal, request) === undefined,
      breakGlass: pending && mayBreakGlass(principal, request, breakGlass),
      review: brokeGlass && review === undefined && mayReview(principal, request, hasRole),
    },
  };
}

const rfc3339 = (ms: number): string => new Date(ms).toISOString();

function before(request: ApprovalRequest, all: readonly ApprovalRequest[]): ApprovalView["before"] {
  const earlier = all.filter(
    (one) =>
      one.requestedAtMs < request.requestedAtMs &&
      one.actor.sub === request.actor.sub &&
      one.actor.iss === request.actor.iss &&
      one.asked.rule === request.asked.rule &&
      one.asked.connection === request.asked.connection,
  );
  const said = (decision: "approve" | "deny"): number =>
    earlier.filter(({ decisions }) => decisions.some((one) => one.decision === decision)).length;
  return { requests: earlier.length, approved: said("approve"), denied: said("deny") };
}
