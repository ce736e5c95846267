import {
  type AgentId,
  type ApprovalId,
  type CallEvent,
  type CallId,
  type Commitment,
  Committer,
  type ErrorCode,
  type HoopishError,
  type Outcome,
  type PayloadField,
  type Payloads,
  type RecordDraft,
  type RecordedOperation,
  type RecordedSql,
} from "@hoopish/protocol";
import type { PayloadPiece } from "../evidence/port.ts";
import type { Tally } from "../masking/tally.ts";
import type { Operation } from "../operations/operation.ts";
import type { Verdict } from "../policy/question.ts";
import type { Session } from "../sessions/session.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import type { RelayPorts } from "./ports.ts";

/** Longest path that stands in a record; the rest of an absurd one is cut, and the payload is refused by the model anyway. */
const MAX_PATH = 1024;

/** Commits to one payload piece by piece, and numbers the pieces. */
class PayloadWriter {
  readonly #call: CallId;
  readonly #field: PayloadField;
  readonly #committer = new Committer();
  #seq = 0;

  constructor(call: CallId, field: PayloadField) {
    this.#call = call;
    this.#field = field;
  }

  piece(bytes: Buffer): PayloadPiece {
    this.#committer.update(bytes);
    return { call: this.#call, field: this.#field, seq: this.#seq++, bytes };
  }

  /** The last piece, which carries the salt, and the commitment for the record. */
  last(bytes: Buffer): { readonly piece: PayloadPiece; readonly commitment: Commitment } {
    const piece = { ...this.piece(bytes), salt: this.#committer.salt };
    return { piece, commitment: this.#committer.finish() };
  }
}

const NOTHING = Buffer.alloc(0);

/** The records of one call, as it goes from step to step; knows what has been written of it. */
export class CallRecords {
  readonly call: CallId;
  readonly #session: Session;
  readonly #exchange: Exchange;
  readonly #ports: RelayPorts;
  readonly #startedMs: number;
  #request: ReadRequest | undefined;
  #requestWriter: PayloadWriter | undefined;
  #requestBytes = 0;
  #streamedRequest: Commitment | undefined;
  #streamedSalt: PayloadPiece | undefined;
  #forwardedWriter: PayloadWriter | undefined;
  #streamedForwarded: Commitment | undefined;
  #forwardedSalt: PayloadPiece | undefined;
  #delivered: PayloadWriter | undefined;
  #deliveredBytes = 0;
  #decidedWritten = false;
  #outcome: { readonly outcome: Outcome; readonly status: number; readonly code: ErrorCode | undefined } | undefined;
  operation: Operation = { kind: "other" };
  verdict: Verdict | undefined;
  agent: AgentId | undefined;
  /** What the call waits for, or went on with. */
  approval: ApprovalId | undefined;
  uninspected: string[] = [];
  /** What the model is asked, where that is not what the client sent; and what was masked in it. */
  forwarded: { readonly bytes: Buffer; readonly tally: MaskTally } | undefined;
  /** What was masked in the request's messages after the first. */
  laterTally: Tally | undefined;
  /** What was masked in the answer so far. */
  answerTally: MaskTally | undefined;
  /** Rows that were answered, where the protocol has such. */
  answeredRows: number | undefined;
  /** Index in the log of the record that decided the call, once that is durable. */
  index: number | undefined;

  constructor(call: CallId, session: Session, exchange: Exchange, ports: RelayPorts) {
    this.call = call;
    this.#session = session;
    this.#exchange = exchange;
    this.#ports = ports;
    this.#startedMs = ports.now();
  }

  set request(request: ReadRequest) {
    this.#request = request;
    this.#requestBytes = request.bytes.length;
  }

  /** The request and the decision, durable when it resolves, with what belongs to it. `soon`: the model is asked meanwhile. */
  decided(when: "now" | "soon", more: readonly RecordDraft[] = []): Promise<void> {
    const { drafts, pieces } = this.#decidedDraft(undefined);
    return this.#ports.log.append([...drafts, ...more], pieces, when).then(
      (index) => {
        this.index = index;
      },
      (error: unknown) => {
        // Not written after all: the refusal that follows must bring the decision with it.
        this.#decidedWritten = false;
        throw error;
      },
    );
  }

  /** Somebody waits for the decision's record now: it is written at once. */
  flush(): void {
    // Nothing of its own can fail: whoever waits for the decision hears of that.
    this.#ports.log.append([], [], "now").catch(() => undefined);
  }

  /** One more piece of a request that flows. @param forwarded what the model gets of it, where that may be something else */
  requestPiece(bytes: Buffer, forwarded?: Buffer): Promise<unknown> {
    this.#requestBytes += bytes.length;
    const writer = this.#requestWriter;
    if (writer === undefined) return Promise.resolve();
    const pieces = [writer.piece(bytes)];
    if (forwarded !== undefined && this.#forwardedWriter !== undefined) {
      pieces.push(this.#forwardedWriter.piece(forwarded));
    }
    return this.#ports.log.append([], pieces);
  }

  /** A flowing request has ended: its commitment goes into call.answered. */
  requestEnded(): void {
    const last = this.#requestWriter?.last(NOTHING);
    this.#streamedRequest = last?.commitment;
    this.#streamedSalt = last?.piece;
    const forwarded = this.#forwardedWriter?.last(NOTHING);
    this.#streamedForwarded = forwarded?.commitment;
    this.#forwardedSalt = forwarded?.piece;
  }

  /** Bytes of the answer, durable when it resolves. */
  answerPiece(bytes: Buffer): Promise<unknown> {
    return this.#ports.log.append([], [this.#deliveredPiece(bytes)]);
  }

  /** The last bytes of the answer and the end of the call, in one transaction. */
  answered(bytes: Buffer, status: number, outcome: Outcome, code?: ErrorCode): Promise<unknown> {
    this.#outcome = { outcome, status, code };
    const pieces: PayloadPiece[] = [];
    const payloads: { [F in PayloadField]?: Commitment } = {};
    if (bytes.length > 0 || this.#delivered !== undefined) {
      const last = this.#deliveredLast(bytes);
      pieces.push(last.piece);
      payloads.delivered = last.commitment;
    }
    this.#addStreamedRequest(pieces, payloads);
    return this.#ports.log.append([this.#answeredDraft(payloads)], pieces);
  }

  /** A call that hoopish answers itself: decision and refusal in one transaction. */
  async refused(error: HoopishError, status: number, body: Buffer): Promise<void> {
    const outcome = this.#decidedWritten ? outcomeOf(error.code) : "refused";
    this.#outcome = { outcome, status, code: error.code };
    const drafts: RecordDraft[] = [];
    const pieces: PayloadPiece[] = [];
    const alone = !this.#decidedWritten;
    if (alone) {
      const decided = this.#decidedDraft(error.code);
      drafts.push(...decided.drafts);
      pieces.push(...decided.pieces);
    }
    const last = this.#deliveredLast(body);
    pieces.push(last.piece);
    const payloads: { [F in PayloadField]?: Commitment } = { delivered: last.commitment };
    this.#addStreamedRequest(pieces, payloads);
    drafts.push(this.#answeredDraft(payloads));
    const index = await this.#ports.log.append(drafts, pieces);
    if (alone) this.index = index;
  }

  /**
   * What every answer tells of its record: RFC 9651 fields, `hoopish-receipt: "<call>"; index=<n>`, where `index` is the
   * place in the log of the record that decided the call. With it anybody can ask for the proof later.
   */
  receipt(): readonly string[] {
    const index = this.index === undefined ? "" : `; index=${this.index}`;
    const approval = this.approval === undefined ? [] : ["hoopish-approval", this.approval];
    return ["hoopish-call", this.call, "hoopish-receipt", `"${this.call}"${index}`, ...approval];
  }

  /** What the session's live view hears of the call when it has ended. */
  event(): CallEvent {
    const end = this.#outcome;
    return {
      event: "call",
      call: this.call,
      time: new Date(this.#startedMs).toISOString(),
      method: this.#exchange.method,
      path: this.#recordedPath(),
      kind: this.operation.kind,
      verdict: this.#verdictWord(end?.code),
      status: end?.status ?? 0,
      durationMs: Math.max(0, this.#ports.now() - this.#startedMs),
      bytes: { request: this.#requestBytes, delivered: this.#deliveredBytes },
      ...this.#maskedCount(),
      outcome: end?.outcome ?? "client_gone",
      ...(end?.code === undefined ? {} : { code: end.code }),
    };
  }

  #maskedCount(): { masked?: number } {
    const counts = [this.forwarded?.tally, this.laterTally, this.answerTally].flatMap((tally) => [
      ...(tally?.counts.values() ?? []),
    ]);
    return counts.length === 0 ? {} : { masked: counts.reduce((sum, count) => sum + count, 0) };
  }

  #decidedDraft(refusedAs: ErrorCode | undefined): { drafts: RecordDraft[]; pieces: PayloadPiece[] } {
    this.#decidedWritten = true;
    const { connection } = this.#session;
    const pieces: PayloadPiece[] = [];
    const payloads = this.#requestPayloads(pieces);
    const rule = this.verdict?.rule;
    const draft: RecordDraft<"call.decided"> = {
      type: "call.decided",
      actor: this.#session.actor,
      session: this.#session.id,
      call: this.call,
      connection: connection.name,
      protocol: this.#exchange.protocol,
      method: this.#exchange.method,
      path: this.#recordedPath(),
      operation: this.recordedOperation(),
      verdict: this.#verdictWord(refusedAs),
      policy: this.#ports.policy().hash,
      ...(rule === undefined ? {} : { rule }),
      ...(refusedAs === undefined ? {} : { code: refusedAs }),
      ...(this.approval === undefined ? {} : { approvals: [this.approval] }),
      ...(Object.keys(payloads).length === 0 ? {} : { payloads }),
      ...tallied(this.forwarded?.tally),
      ...(this.#request?.ended === false ? { request_streams: true } : {}),
    };
    return { drafts: [draft], pieces };
  }

  #requestPayloads(pieces: PayloadPiece[]): Payloads {
    const payloads: { [F in PayloadField]?: Commitment } = {};
    if (this.#exchange.query !== "") {
      const query = new PayloadWriter(this.call, "query").last(Buffer.from(this.#exchange.query));
      pieces.push(query.piece);
      payloads.query = query.commitment;
    }
    const request = this.#request;
    if (request === undefined) return payloads;
    const writer = new PayloadWriter(this.call, "request");
    if (!request.ended) {
      this.#requestWriter = writer;
      pieces.push(writer.piece(request.bytes));
    } else if (request.bytes.length > 0) {
      const last = writer.last(request.bytes);
      pieces.push(last.piece);
      payloads.request = last.commitment;
    }
    const { forwarded } = this;
    if (forwarded !== undefined && !request.ended) {
      this.#forwardedWriter = new PayloadWriter(this.call, "forwarded");
      pieces.push(this.#forwardedWriter.piece(forwarded.bytes));
    } else if (forwarded !== undefined) {
      const last = new PayloadWriter(this.call, "forwarded").last(forwarded.bytes);
      pieces.push(last.piece);
      payloads.forwarded = last.commitment;
    }
    return payloads;
  }

  #answeredDraft(payloads: Payloads): RecordDraft<"call.answered"> {
    const end = this.#outcome ?? { outcome: "client_gone" as const, status: 0, code: undefined };
    return {
      type: "call.answered",
      actor: this.#session.actor,
      session: this.#session.id,
      call: this.call,
      connection: this.#session.connection.name,
      status: end.status,
      duration_ms: Math.max(0, this.#ports.now() - this.#startedMs),
      bytes: { request: this.#requestBytes, delivered: this.#deliveredBytes },
      outcome: end.outcome,
      ...(this.agent === undefined ? {} : { agent: this.agent }),
      ...(end.code === undefined ? {} : { code: end.code }),
      ...(this.answeredRows === undefined ? {} : { rows: this.answeredRows }),
      ...(Object.keys(payloads).length === 0 ? {} : { payloads }),
      ...tallied(this.answerTally),
      ...requestMasked(this.laterTally),
      ...(this.uninspected.length === 0 ? {} : { uninspected: this.uninspected }),
    };
  }

  #addStreamedRequest(pieces: PayloadPiece[], payloads: { [F in PayloadField]?: Commitment }): void {
    // A flowing request that was cut off is committed to as far as it came.
    if (this.#requestWriter !== undefined && this.#streamedRequest === undefined) this.requestEnded();
    if (this.#streamedRequest === undefined || this.#streamedSalt === undefined) return;
    payloads.request = this.#streamedRequest;
    pieces.push(this.#streamedSalt);
    this.#requestWriter = undefined;
    if (this.#streamedForwarded === undefined || this.#forwardedSalt === undefined) return;
    payloads.forwarded = this.#streamedForwarded;
    pieces.push(this.#forwardedSalt);
    this.#forwardedWriter = undefined;
  }

  #deliveredPiece(bytes: Buffer): PayloadPiece {
    this.#delivered ??= new PayloadWriter(this.call, "delivered");
    this.#deliveredBytes += bytes.length;
    return this.#delivered.piece(bytes);
  }

  #deliveredLast(bytes: Buffer): { readonly piece: PayloadPiece; readonly commitment: Commitment } {
    this.#delivered ??= new PayloadWriter(this.call, "delivered");
    this.#deliveredBytes += bytes.length;
    return this.#delivered.last(bytes);
  }

  /** A call that was refused before policy was done with it counts as blocked, whatever would have come of it. */
  #verdictWord(refusedAs: ErrorCode | undefined): "allow" | "hold" | "block" {
    const verdict = this.verdict?.verdict ?? "block";
    return this.#decidedWritten || refusedAs === undefined ? verdict : "block";
  }

  recordedOperation(): RecordedOperation {
    const { kind, model, rows, tokensRequested, sql } = this.operation;
    return {
      kind,
      ...(model === undefined ? {} : { model }),
      ...(rows === undefined ? {} : { rows }),
      ...(tokensRequested === undefined ? {} : { tokens: tokensRequested }),
      ...(sql === undefined ? {} : { sql: recordedSql(sql) }),
    };
  }

  #recordedPath(): string {
    return this.#exchange.path.slice(0, MAX_PATH).toWellFormed();
  }
}

/** Names that stand in a record, at most; a text that names more is known by its payload. */
const MAX_NAMES = 32;
const MAX_NAME = 128;

function recordedSql({ kinds, tables, functions, statements }: NonNullable<Operation["sql"]>): RecordedSql {
  const some = (names: readonly string[]): string[] =>
    names.slice(0, MAX_NAMES).map((name) => name.slice(0, MAX_NAME).toWellFormed());
  return { kinds: some(kinds), tables: some(tables), functions: some(functions), statements };
}

/** What was masked in one body. */
type MaskTally = Pick<Tally, "counts" | "digests" | "masked">;

function tallied(tally: MaskTally | undefined): {
  masked?: Readonly<Record<string, number>>;
  masked_digests?: string[];
} {
  const masked = tally?.masked();
  return masked === undefined || tally === undefined ? {} : { masked, masked_digests: [...tally.digests] };
}

function requestMasked(tally: Tally | undefined): { request_masked?: Readonly<Record<string, number>> } {
  const masked = tally?.masked();
  return masked === undefined ? {} : { request_masked: masked };
}

/** How a call that was let through ended, when it ended with this error. */
export function outcomeOf(code: ErrorCode): Outcome {
  switch (code) {
    case "session_closed":
    case "unauthenticated":
    case "access_denied":
      return "revoked";
    case "response_too_large":
    case "response_uninspectable":
      return "blocked";
    case "approval_pending":
    case "approval_denied":
    case "approval_expired":
    case "policy_blocked":
    case "rate_limited":
    case "request_too_large":
    case "request_timeout":
    case "bad_request":
    case "evidence_unavailable":
    case "agent_unavailable":
    case "server_draining":
      return "refused";
    default:
      return "upstream_failed";
  }
}
