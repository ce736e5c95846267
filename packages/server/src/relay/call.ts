import { HoopishError, newCallId, toHoopishError } from "@hoopish/protocol";
import { isInference } from "../operations/describe.ts";
import type { Operation } from "../operations/operation.ts";
import type { Verdict } from "../policy/question.ts";
import type { Session } from "../sessions/session.ts";
import { CallRecords } from "./call-records.ts";
import { Delivery } from "./delivery.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import { settleHold } from "./hold.ts";
import { charge, questionOf, refuseBlocked } from "./judge.ts";
import { judgePiece } from "./judge-piece.ts";
import { maskRequest } from "./mask-request.ts";
import type { RelayPorts } from "./ports.ts";
import { readRequest } from "./request.ts";
import { sendRest } from "./send-rest.ts";

/**
 * THE LIST: every step of a call that security rests on, in its order, and why it stands there.
 * A step that throws a HoopishError ends the call: the refusal is recorded, then said in the client's own protocol.
 */
export async function relayCall(session: Session, exchange: Exchange, ports: RelayPorts): Promise<void> {
  const records = new CallRecords(newCallId(), session, exchange, ports);
  session.callStarted(ports.now());
  countCall(ports, session, +1);
  try {
    // 1 Before a byte is read: a session that has ended, or a busy connection, costs its caller nothing but this.
    admit(session, ports);
    // 2 What is to be judged must be known; within limits, because the caller chooses its size. Whole, where a rule looks.
    const { principal, connection } = session;
    const masked = ports.masks(connection.name);
    const certain = exchange.meaningInBody || ports.policy().needsBody(principal, connection.name);
    const looksInside = certain || masked.request !== undefined;
    const request = await readRequest(exchange, session, looksInside);
    records.request = request;
    // 3 From bytes to meaning: rules speak of rows and models, not of paths.
    const operation = exchange.describe(request);
    records.operation = operation;
    if (certain && operation.unclear !== undefined) refuseUnclear(operation.unclear, session, records);
    // 4 Pure, so that the same call gets the same verdict, and can be asked again later.
    const judge = (): Verdict => ports.policy().judge(questionOf(session, exchange, request, operation, ports));
    let verdict = judge();
    records.verdict = verdict;
    refuseBlocked(verdict);
    // 6 What may not reach the model is masked or refused; before 5, so that nobody is asked about what cannot go on.
    const masking = maskRequest(session, exchange, request, records, ports);
    const outgoing = masking instanceof Promise ? await masking : masking;
    if (masking instanceof Promise) {
      // An analyzer took its time: calls beside this one may have used up what it was let through for.
      verdict = judge();
      records.verdict = verdict;
      refuseBlocked(verdict);
    }
    // 5 A human decides. What people said is good for this call alone, and only if policy would still hold it so.
    if (verdict.verdict === "hold") {
      const again = (): void => {
        const now = judge();
        refuseChanged(verdict, now, session, ports);
        // At once, as below: taking the approval takes its time, and calls beside this one are judged meanwhile.
        charge(now, ports);
      };
      await waitingAside(session, ports, settleHold({ session, exchange, request }, verdict, records, again, ports));
    } else charge(verdict, ports);
    // 7 The decision and the request become durable; 8 may overlap with it for plain inference, 10 never.
    const overlaps = verdict.verdict === "allow" && mayOverlap(session, operation);
    const decided = verdict.verdict === "hold" ? DONE : records.decided(overlaps ? "soon" : "now");
    if (!overlaps) await decided;
    // 8 – 11 Forward; deliver what is durable; close the record.
    await forward(session, exchange, outgoing, records, decided, judge, ports);
  } catch (thrown) {
    await refuse(thrown, exchange, records);
  } finally {
    countCall(ports, session, -1);
    session.callEnded(ports.now(), () => records.event());
  }
}

/** A request that could not be parsed: it has no method or path to speak of, and is recorded all the same. */
export async function refuseUnparsed(
  session: Session,
  exchange: Exchange,
  error: HoopishError,
  ports: RelayPorts,
): Promise<void> {
  const records = new CallRecords(newCallId(), session, exchange, ports);
  session.callStarted(ports.now());
  await refuse(error, exchange, records);
  session.callEnded(ports.now(), () => records.event());
}

function admit(session: Session, ports: RelayPorts): void {
  if (session.ended !== undefined) throw new HoopishError(session.ended.code, session.ended.reason);
  if (ports.draining()) throw new HoopishError("server_draining", "the server is about to stop; try again");
  if (!ports.log.writable) {
    throw new HoopishError("evidence_unavailable", "calls cannot be recorded now, so none are made");
  }
  const { name, limits } = session.connection;
  if ((ports.inFlight.get(name) ?? 0) > limits.concurrentCalls) {
    throw new HoopishError("rate_limited", `${name} takes ${limits.concurrentCalls} calls at a time`);
  }
}

const DONE: Promise<void> = Promise.resolve();

/** A rule looks at what cannot be known for certain. @throws HoopishError unless the connection's setting lets it pass, named */
function refuseUnclear(unclear: string, session: Session, records: CallRecords): void {
  if (session.connection.uninspectable === "block") {
    throw new HoopishError("policy_blocked", `what this call asks for cannot be told: ${unclear}`);
  }
  records.uninspected.push(`request: ${unclear}`);
}

/** @throws HoopishError when the call that people let through is not the one that policy would hold now */
function refuseChanged(
  before: Verdict,
  now: Verdict,
  session: Session,
  ports: RelayPorts,
): asserts now is Exclude<Verdict, { verdict: "block" }> {
  if (session.ended !== undefined) throw new HoopishError(session.ended.code, session.ended.reason);
  if (ports.draining()) throw new HoopishError("server_draining", "the server is about to stop; try again");
  refuseBlocked(now);
  if (now.verdict !== before.verdict || now.rule !== before.rule) {
    throw new HoopishError("approval_expired", "the rules changed while this call waited");
  }
}

/** A call that waits for people takes no place of those that run. */
async function waitingAside(session: Session, ports: RelayPorts, waiting: Promise<void>): Promise<void> {
  countCall(ports, session, -1);
  try {
    await waiting;
  } finally {
    countCall(ports, session, +1);
  }
  admit(session, ports);
}

function mayOverlap(session: Session, operation: Operation): boolean {
  return session.connection.evidence === "overlap" && isInference(operation);
}

function forward(
  session: Session,
  exchange: Exchange,
  request: ReadRequest,
  records: CallRecords,
  decided: Promise<void>,
  judge: () => Verdict,
  ports: RelayPorts,
): Promise<void> {
  const { connection } = session;
  const mask = ports.masks(connection.name).response;
  const { responseBytes } = connection.limits;
  const inspection = mask && { plan: mask, uninspectable: connection.uninspectable };
  const delivery = new Delivery(exchange, records, decided, responseBytes, inspection);
  const { call, forwarded } = records;
  const order = { call, request, altered: forwarded !== undefined, inspected: mask !== undefined };
  const upstream = exchange.forward(order, ports.agents, delivery);
  delivery.start(upstream, session, judge);
  if (!request.ended) {
    // Messages are limited one by one, by the protocol.
    const limit = exchange.judgesPieces ? Number.MAX_SAFE_INTEGER : connection.limits.requestBytes;
    const onPiece = exchange.judgesPieces ? judgePiece(session, exchange, records, ports) : undefined;
    sendRest(exchange, request, upstream, delivery, records, limit, onPiece);
  }
  return delivery.done;
}

async function refuse(thrown: unknown, exchange: Exchange, records: CallRecords): Promise<void> {
  const error = toHoopishError(thrown);
  const { head, body } = exchange.answer.refusal(error);
  try {
    await records.refused(error, head.status, body);
  } catch (failed) {
    // The store cannot take even the refusal: say only that, and nothing of what the call was about.
    const unavailable = toHoopishError(failed, "evidence_unavailable");
    const said = exchange.answer.refusal(unavailable);
    exchange.answer.whole(said.head, said.body);
    return;
  }
  exchange.answer.whole({ status: head.status, headers: [...records.receipt(), ...head.headers] }, body);
}

function countCall(ports: RelayPorts, session: Session, by: 1 | -1): void {
  const { name } = session.connection;
  ports.inFlight.set(name, (ports.inFlight.get(name) ?? 0) + by);
}
