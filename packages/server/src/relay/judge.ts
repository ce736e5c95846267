import { HoopishError } from "@hoopish/protocol";
import { countFindings } from "../masking/count-findings.ts";
import { describe } from "../operations/describe.ts";
import type { Operation } from "../operations/operation.ts";
import { pathProblem } from "../operations/path.ts";
import type { PolicyQuestion, Verdict } from "../policy/question.ts";
import type { Session } from "../sessions/session.ts";
import type { Exchange } from "./exchange.ts";
import { headerValue } from "./headers.ts";
import type { RelayPorts } from "./ports.ts";
import type { ReadRequest } from "./request.ts";

/**
 * From bytes to meaning.
 * @throws HoopishError bad_request for a path that a model server might read as another one
 */
export function operationOf(session: Session, exchange: Exchange, request: ReadRequest): Operation {
  const problem = pathProblem(exchange.path);
  if (problem !== undefined) throw new HoopishError("bad_request", `the path is not in its normal form: ${problem}`);
  return describe(session.connection.api, {
    method: exchange.method,
    path: exchange.path,
    query: exchange.query,
    headers: exchange.headers,
    contentType: headerValue(exchange.headers, "content-type"),
    contentEncoding: headerValue(exchange.headers, "content-encoding"),
    bytes: request.bytes,
    body: request.body,
  });
}

/** What policy is asked of this call, now. */
export function questionOf(
  session: Session,
  exchange: Exchange,
  request: ReadRequest,
  operation: Operation,
  ports: RelayPorts,
): PolicyQuestion {
  const nowMs = ports.now();
  const { texts: _, unclear: __, ...described } = operation;
  return {
    principal: session.principal,
    session: {
      reason: session.facts.reason,
      ticket: session.facts.ticket,
      ageMs: nowMs - session.facts.openedAtMs,
    },
    connection: session.connection,
    call: { ...described, method: exchange.method, path: exchange.path, bytes: request.bytes.length },
    request: { headers: exchange.headers, json: request.body.state === "json" ? request.body.value : undefined },
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
    findings = countFindings(request.bytes, headerValue(exchange.headers, "content-type"));
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
