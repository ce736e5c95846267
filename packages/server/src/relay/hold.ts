import { type ApprovalId, type CallId, HoopishError, type RecordDraft } from "@hoopish/protocol";
import type { HeldCall } from "../approvals/port.ts";
import type { Verdict } from "../policy/question.ts";
import type { EndListener, SessionEnd } from "../sessions/end-listeners.ts";
import type { Session } from "../sessions/session.ts";
import type { CallRecords } from "./call-records.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import { headerValue } from "./headers.ts";
import type { RelayPorts } from "./ports.ts";

type HoldVerdict = Extract<Verdict, { verdict: "hold" }>;

/**
 * Settles a held call. The request for approval and the call's record are one transaction, so that no approver ever sees
 * what the log does not hold. Resolves when the approval has been used for this very call, durably; everything else throws.
 * @param rejudge what policy says now: people take minutes, and the world may have changed
 */
export async function settleHold(
  of: { readonly session: Session; readonly exchange: Exchange; readonly request: ReadRequest },
  verdict: HoldVerdict,
  records: CallRecords,
  rejudge: () => void,
  ports: RelayPorts,
): Promise<void> {
  const held = heldCall(of, verdict, records, ports);
  const hold = ports.approvals.hold(held);
  records.approval = hold.approval;
  await recordHold(hold, records, ports);
  if (hold.state === "waiting") await waitFor(hold, of, verdict, held, records, ports);
  rejudge();
  await ports.approvals.use(hold.approval, held);
}

async function recordHold(
  hold: { readonly approval: ApprovalId; readonly isNew: boolean },
  records: CallRecords,
  ports: RelayPorts,
): Promise<void> {
  const { approvals } = ports;
  const more: RecordDraft[] = hold.isNew ? [approvals.requestedDraft(hold.approval)] : [];
  try {
    await records.decided("now", more);
  } catch (error) {
    if (hold.isNew) approvals.abandoned(hold.approval);
    throw error;
  }
  if (hold.isNew) approvals.published(hold.approval);
}

async function waitFor(
  hold: { readonly approval: ApprovalId; readonly expiresAtMs: number },
  { session, exchange }: { readonly session: Session; readonly exchange: Exchange },
  verdict: HoldVerdict,
  held: HeldCall,
  records: CallRecords,
  ports: RelayPorts,
): Promise<void> {
  const leave = ports.waiting.enter(held.body);
  const waitMs = leave === undefined ? 0 : verdict.approval.waitMs;
  const expiresAt = new Date(hold.expiresAtMs).toISOString();
  const { approval } = hold;
  session.notify({ event: "waiting_approval", call: records.call, approval, rule: verdict.rule, expiresAt, waitMs });
  const stopped = new AbortController();
  let gone = false;
  let ended: SessionEnd | undefined;
  exchange.answer.onGone(() => {
    gone = true;
    stopped.abort();
  });
  const listener: EndListener = {
    place: -1,
    sessionEnded: (end) => {
      ended = end;
      stopped.abort();
    },
  };
  session.onEnd(listener);
  try {
    const result = await ports.approvals.wait(approval, waitMs, stopped.signal);
    if (gone) withdrawLater(approval, records.call, ports);
    if (ended !== undefined) throw new HoopishError(ended.code, ended.reason);
    if (gone) throw new HoopishError("approval_pending", "the caller left while it waited");
    if (result.result === "refused") throw new HoopishError(result.code, result.message);
    if (result.result === "pending") throw pending(approval, verdict.rule);
  } finally {
    session.offEnd(listener);
    leave?.();
  }
}

/** How long the same call may take to come again before its caller has left for good. */
const RETURN_MS = 5_000;

/**
 * SDKs give up on a slow answer and send the same call again by themselves, a moment later: it must find its request, and not
 * make another. Withdrawing does nothing where somebody waits for it again.
 */
function withdrawLater(approval: ApprovalId, call: CallId, { approvals }: RelayPorts): void {
  setTimeout(() => void approvals.withdraw(approval, call, "the caller left while it waited"), RETURN_MS).unref();
}

const pending = (approval: ApprovalId, rule: string): HoopishError =>
  new HoopishError(
    "approval_pending",
    `this call waits for an approval (${rule}): ${approval}; once it is approved, the same call sent again goes on`,
  );

function heldCall(
  of: { readonly session: Session; readonly exchange: Exchange; readonly request: ReadRequest },
  { rule, approval }: HoldVerdict,
  records: CallRecords,
  ports: RelayPorts,
): HeldCall {
  const { session, exchange, request } = of;
  return {
    call: records.call,
    session: session.id,
    principal: session.principal,
    actor: session.actor,
    connection: session.connection.name,
    rule,
    policy: ports.policy().hash,
    approval,
    reason: session.facts.reason,
    ticket: session.facts.ticket,
    method: exchange.method,
    path: exchange.path,
    query: exchange.query,
    contentType: headerValue(exchange.headers, "content-type"),
    body: request.bytes,
    operation: records.recordedOperation(),
  };
}
