import { HoopishError } from "@hoopish/protocol";
import type { Operation } from "../operations/operation.ts";
import type { PolicyQuestion, Verdict } from "../policy/question.ts";
import type { Session } from "../sessions/session.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import type { RelayPorts } from "./ports.ts";

/** What policy is asked of this call, now. */
export function questionOf(
  session: Session,
  exchange: Exchange,
  request: ReadRequest,
  operation: Operation,
  ports: RelayPorts,
): PolicyQuestion {
  const nowMs = ports.now();
  const { texts: _, unclear: __, sql: ___, ...described } = operation;
  return {
    principal: session.principal,
    session: {
      reason: session.facts.reason,
      ticket: session.facts.ticket,
      ageMs: nowMs - session.facts.openedAtMs,
    },
    connection: session.connection,
    call: { ...described, method: exchange.method, path: exchange.path, bytes: request.bytes.length },
    request: { headers: exchange.headers, json: exchange.json(request), sql: operation.sql },
    findings: () => findingsOf(exchange, request),
    nowMs,
    usage: (key, perMs) => ports.usage.usage(key, perMs, nowMs),
  };
}

const counted = new WeakMap<ReadRequest, ReadonlyMap<string, number>>();

/** Once for a call, however many rules ask and however often it is judged. */
function findingsOf(exchange: Exchange, request: ReadRequest): ReadonlyMap<string, number> {
  let findings = counted.get(request);
  if (findings === undefined) {
    findings = exchange.findings(request);
    counted.set(request, findings);
  }
  return findings;
}

/** @throws HoopishError when the verdict is to block */
export function refuseBlocked(verdict: Verdict): asserts verdict is Exclude<Verdict, { verdict: "block" }> {
  if (verdict.verdict === "block") throw new HoopishError(verdict.code, verdict.message);
}

/** A call goes on: what it is charged for counts at once, so that many small ones side by side cannot slip through. */
export function charge(verdict: Exclude<Verdict, { verdict: "block" }>, ports: RelayPorts): void {
  const nowMs = ports.now();
  for (const one of verdict.charges) ports.usage.charge(one, nowMs);
}
