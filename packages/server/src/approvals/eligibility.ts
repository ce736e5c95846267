import { foldName, HoopishError, type RecordActor } from "@hoopish/protocol";
import type { Principal } from "../identity/principal.ts";
import type { ApprovalRequest } from "./request.ts";

/** The same human: the same subject, at any issuer, or another account of the same name. Either is enough to be himself. */
export function isSelf(principal: Principal, actor: Pick<RecordActor, "sub" | "name">): boolean {
  return principal.sub === actor.sub || foldName(principal.user) === foldName(actor.name);
}

const inAny = (principal: Principal, groups: readonly string[]): boolean =>
  groups.some((group) => principal.groups.includes(group));

/** Why this principal may not decide this request; undefined: he may. Administrators are nobody special here. */
export function decideProblem(principal: Principal, request: ApprovalRequest): string | undefined {
  if (principal.kind !== "human") return "a service decides nothing";
  if (isSelf(principal, request.actor)) return "nobody decides about a request of their own";
  if (!inAny(principal, request.asked.groups)) return `this is for ${request.asked.groups.join(" or ")}`;
  if (request.decisions.some((decision) => isSelf(principal, { ...decision, name: decision.by }))) {
    return "you have decided already: a quorum counts people";
  }
  return undefined;
}

/** Whether he may pass himself. `groups`: the rule's, by the policy in force. */
export const mayBreakGlass = (principal: Principal, request: ApprovalRequest, groups: readonly string[]): boolean =>
  principal.kind === "human" && isSelf(principal, request.actor) && inAny(principal, groups);

/** A review is another's: an approver of the rule, or whoever holds a role. */
export const mayReview = (principal: Principal, request: ApprovalRequest, hasRole: boolean): boolean =>
  principal.kind === "human" &&
  !isSelf(principal, request.actor) &&
  (hasRole || inAny(principal, request.asked.groups));

/** Whether he may know of it at all. */
export const maySee = (principal: Principal, request: ApprovalRequest, hasRole: boolean): boolean =>
  hasRole || isSelf(principal, request.actor) || (principal.kind === "human" && inAny(principal, request.asked.groups));

export const refused = (message: string): HoopishError => new HoopishError("access_denied", message);
