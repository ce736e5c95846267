import { type HeaderList, HoopishError, type HttpAnswer, toHoopishError } from "@hoopish/protocol";
import type { BodyMasker } from "../masking/masker.ts";
import type { Verdict } from "../policy/question.ts";
import type { EndListener, SessionEnd } from "../sessions/end-listeners.ts";
import type { Session } from "../sessions/session.ts";
import { type AnswerDecoder, decoderFor } from "./answer-decoder.ts";
import { type CallRecords, outcomeOf } from "./call-records.ts";
import type { AnswerClose, AnswerHead, AnswerSink, Exchange, Inspection } from "./exchange.ts";
import { answerHeaders, headerValue, withoutHeaders } from "./headers.ts";
import type { Upstream, UpstreamListener } from "./ports.ts";

/**
 * Where one answer stands.
 * `waiting`: no head yet · `answering`: bytes come, are recorded, then delivered · `ended`: nothing more is taken in.
 */
type State = "waiting" | "answering" | "ended";

/**
 * Carries one answer from the agent to the client: what comes in one turn of the event loop is recorded together, and is
 * given to the client when it is durable, in order. No event waits for the next one, and no byte goes before its record.
 *
 * Memory: bytes count against the agent's credit until the client has taken them, so a client that does not read costs
 * one window and stops the model server, nobody else.
 */
export class Delivery implements UpstreamListener, EndListener {
  place = -1;
  readonly done: Promise<void>;
  readonly #exchange: Exchange;
  readonly #sink: AnswerSink;
  readonly #records: CallRecords;
  readonly #decided: Promise<void>;
  readonly #limitBytes: number;
  readonly #inspection: Inspection | undefined;
  #masker: BodyMasker | undefined;
  /** The head waits for the first bytes: until they were looked into, the answer may still be refused. */
  #holdsHead = false;
  #inOne = false;
  /** What an analyzer is asked about is taken in order. */
  #analyzed: Promise<void> | undefined;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  #state: State = "waiting";
  #upstream: Upstream | undefined;
  #head: AnswerHead | undefined;
  #decoder: AnswerDecoder | undefined;
  #received = 0;
  /** Received in this turn, not yet handed to the log. */
  #fresh: Buffer[] = [];
  #freshCredit = 0;
  #turnScheduled = false;
  /** Something of the answer is on its way into the log: from here on the client gets this answer or a cut, never another. */
  #begun = false;
  /** The answer's last bytes are being recorded: what is durable goes out, nothing more comes in. */
  #finishing = false;
  /** Credit that is owed to the agent once the client has drained. */
  #owedCredit = 0;
  #clientBlocked = false;
  #timer: NodeJS.Timeout | undefined;
  #session: Session | undefined;
  #judge: (() => Verdict) | undefined;
  #wakeUpstream: (() => void) | undefined;

  /** @param inspection what is masked in the answer; undefined: nothing is */
  constructor(
    exchange: Exchange,
    records: CallRecords,
    decided: Promise<void>,
    limitBytes: number,
    inspection?: Inspection,
  ) {
    this.#inspection = inspection;
    this.#exchange = exchange;
    this.#sink = exchange.answer;
    this.#records = records;
    this.#decided = decided;
    this.#limitBytes = limitBytes;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever awaits `done` sees the error; a call that never got so far must not end the process.
    this.done.catch(() => undefined);
    // A decision that could not be recorded ends the call, whatever the model says.
    decided.catch((error: unknown) => this.fail(error));
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  /** @param judge what policy says of this call by the rules of that moment */
  start(upstream: Upstream, session: Session, judge: () => Verdict): void {
    this.#upstream = upstream;
    this.#judge = judge;
    this.#records.agent = upstream.agent;
    this.#session = session;
    this.#timer = setTimeout(
      () => this.fail(new HoopishError("upstream_timeout", "the call took too long")),
      session.connection.limits.callMs,
    );
    this.#sink.onGone(() => this.#clientGone());
    this.#sink.onDrain(() => this.#clientDrained());
    session.onEnd(this);
    if (this.#state === "ended") upstream.cancel("the call ended");
  }

  /** Resolves when the agent takes more of the request, or the call has ended. */
  upstreamDrained(): Promise<void> {
    if (this.#state === "ended") return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeUpstream = resolve;
    });
  }

  onAnswer(answer: HttpAnswer): void {
    if (this.#state !== "waiting") return;
    try {
      if ("error" in answer) throw new HoopishError(answer.error.code, answer.error.message);
      this.#head = this.#checkedHead(answer);
      this.#state = "answering";
      this.#scheduleTurn();
    } catch (error) {
      this.fail(error);
    }
  }

  onData(bytes: Buffer): void {
    this.#freshCredit += bytes.length;
    if (this.#state !== "answering") this.#upstream?.consumed(bytes.length);
    else if (this.#decoder === undefined) this.#take(bytes);
    else this.#decoder.push(bytes);
  }

  onEnd(trailers: HeaderList): void {
    if (this.#state === "waiting") this.fail(new HoopishError("upstream_failed", "the agent gave no answer"));
    if (this.#state === "ended") return;
    if (this.#decoder === undefined) this.#finish(trailers);
    else this.#decoder.end(() => this.#finish(trailers));
  }

  onBroken(reason: string): void {
    this.#upstream = undefined;
    this.fail(new HoopishError("upstream_failed", reason));
  }

  onFailed(error: HoopishError): void {
    this.fail(error);
  }

  sessionEnded({ code, reason }: SessionEnd): void {
    this.fail(new HoopishError(code, reason));
  }

  /** New rules are good for what runs, too; a rate was charged when the call began, and cuts nothing. */
  policyChanged(): void {
    const verdict = this.#judge?.();
    if (verdict?.verdict !== "block" || verdict.code === "rate_limited") return;
    this.fail(new HoopishError("policy_blocked", `the rules changed: ${verdict.message}`));
  }

  onDrain(): void {
    this.#wakeUpstream?.();
    this.#wakeUpstream = undefined;
  }

  /** Ends the call for a reason of ours or of the model server. */
  fail(thrown: unknown): void {
    if (this.#state === "ended") return;
    const error = toHoopishError(thrown);
    const outcome = outcomeOf(error.code);
    // What the model server had said before it broke off was its answer, and is given; what policy cuts is not.
    const rest = outcome === "upstream_failed" && this.#state === "answering" ? joined(this.#fresh) : NOTHING;
    this.#close();
    this.#upstream?.cancel(error.code);
    if (!this.#begun && !this.#sink.headSent && rest.length === 0) {
      this.#settle.reject(error);
      return;
    }
    const { resolve } = this.#settle;
    const recorded = this.#records.answered(rest, this.#head?.status ?? 0, outcome, error.code);
    if (outcome !== "upstream_failed") {
      // Cut first: what the client has is all that it gets, whether or not the end can still be recorded.
      this.#sink.cut(error);
      recorded.then(resolve, resolve);
      return;
    }
    this.#finishing = true;
    recorded.then(
      () => {
        if (rest.length > 0) this.#deliver(rest, 0);
        this.#sink.cutSoon(error);
        resolve();
      },
      (failed: unknown) => {
        this.#sink.cut(toHoopishError(failed));
        resolve();
      },
    );
  }

  #checkedHead(answer: { readonly status: number; readonly headers: HeaderList }): AnswerHead {
    const declared = Number(headerValue(answer.headers, "content-length") ?? 0);
    if (declared > this.#limitBytes) throw tooLarge(this.#limitBytes);
    const encoding = headerValue(answer.headers, "content-encoding")?.trim().toLowerCase();
    let headers = answerHeaders(answer.headers);
    if (encoding !== undefined && encoding !== "" && encoding !== "identity") {
      this.#decoder = decoderFor(encoding, {
        onData: (bytes) => this.#take(bytes),
        onError: (error) => this.fail(error),
      });
      headers = withoutHeaders(headers, ["content-encoding", "content-length"]);
    }
    const view = this.#exchange.view({ status: answer.status, headers }, this.#inspection, (why) => {
      const named = `response: ${why} (uninspectable: allow)`;
      const { uninspected } = this.#records;
      if (uninspected.length < MAX_UNINSPECTED && !uninspected.includes(named)) uninspected.push(named);
    });
    this.#masker = view.masker;
    this.#holdsHead = view.holdsHead;
    this.#inOne = view.inOne === true;
    if (view.masker !== undefined) {
      if (this.#inspection?.plan.analyze !== undefined) this.#analyzed = Promise.resolve();
      this.#records.answerTally = view.masker.tally;
    }
    return { status: answer.status, headers: view.headers };
  }

  #take(bytes: Buffer): void {
    if (this.#state !== "answering") return;
    this.#received += bytes.length;
    if (this.#received > this.#limitBytes) {
      this.fail(tooLarge(this.#limitBytes));
      return;
    }
    if (this.#masker === undefined) this.#fresh.push(bytes);
    else {
      if (this.#analyzed !== undefined) {
        this.#afterAnalysis((masker) => masker.push(bytes));
        return;
      }
      try {
        const masked = this.#masker.push(bytes) as Buffer;
        if (masked.length > 0) this.#fresh.push(masked);
      } catch (error) {
        this.fail(answerRefused(error));
        return;
      }
    }
    this.#scheduleTurn();
  }

  /** One append for all that arrives in one turn: frames of one network read come one after another, without a turn between. */
  #scheduleTurn(): void {
    if (this.#turnScheduled || (this.#inOne && this.#freshCredit < IN_ONE_BYTES)) return;
    this.#turnScheduled = true;
    process.nextTick(() => {
      this.#turnScheduled = false;
      if (this.#state === "answering") this.#recordTurn();
    });
  }

  #recordTurn(): void {
    const bytes = joined(this.#fresh);
    const credit = this.#freshCredit;
    this.#fresh = [];
    this.#freshCredit = 0;
    if (bytes.length === 0) {
      // A head alone belongs to the decision's record, which need not wait for company any longer.
      this.#records.flush();
      this.#decided.then(
        () => {
          if (!this.#holdsHead) this.#deliverHead();
        },
        () => undefined,
      );
      this.#giveCredit(credit);
      return;
    }
    this.#begun = true;
    this.#records.answerPiece(bytes).then(
      () => {
        if (this.#state === "answering" || this.#finishing) this.#deliver(bytes, credit);
      },
      (error: unknown) => this.fail(error),
    );
  }

  #finish(trailers: HeaderList): void {
    const head = this.#head;
    if (this.#state !== "answering" || head === undefined) return;
    if (this.#analyzed !== undefined) {
      this.#afterAnalysis(
        (masker) => masker.end(),
        () => this.#finishWhole(head, trailers),
      );
      return;
    }
    try {
      const rest = this.#masker?.end() as Buffer | undefined;
      if (rest !== undefined && rest.length > 0) this.#fresh.push(rest);
    } catch (error) {
      this.fail(answerRefused(error));
      return;
    }
    this.#finishWhole(head, trailers);
  }

  /** One after another; an analyzer that does not answer ends the call. */
  #afterAnalysis(work: (masker: BodyMasker) => Buffer | Promise<Buffer>, then?: () => void): void {
    const masker = this.#masker;
    if (masker === undefined) return;
    this.#analyzed = this.#analyzed
      ?.then(async () => {
        if (this.#state !== "answering") return;
        const masked = await work(masker);
        // The call may have ended while the analyzer was asked.
        if ((this.#state as State) !== "answering") return;
        if (masked.length > 0) this.#fresh.push(masked);
        if (then === undefined) this.#scheduleTurn();
        else then();
      })
      .catch((error: unknown) => this.fail(answerRefused(error)));
  }

  #finishWhole(head: AnswerHead, given: HeaderList): void {
    let close: AnswerClose;
    try {
      close = this.#exchange.close(given, this.#inspection);
    } catch (error) {
      this.fail(error);
      return;
    }
    const { trailers, status = head.status, rows } = close;
    this.#records.answeredRows = rows;
    const bytes = joined(this.#fresh);
    const alone = !this.#begun && !this.#sink.headSent && trailers.length === 0;
    this.#fresh = [];
    this.#begun = true;
    this.#finishing = true;
    this.#close();
    this.#upstream = undefined;
    this.#records.answered(bytes, status, "complete").then(
      () => {
        if (alone && !this.#sink.headSent) this.#sink.whole(this.#receipted(head), bytes);
        else {
          if (bytes.length > 0) this.#deliver(bytes, 0);
          else this.#deliverHead();
          this.#sink.end(trailers);
        }
        this.#settle.resolve();
      },
      (error: unknown) => {
        if (alone) return this.#settle.reject(error);
        this.#sink.cut(toHoopishError(error, "evidence_unavailable"));
        this.#settle.resolve();
      },
    );
  }

  #deliver(bytes: Buffer, credit: number): void {
    this.#deliverHead();
    if (this.#sink.write(bytes)) this.#giveCredit(credit);
    else {
      this.#clientBlocked = true;
      this.#owedCredit += credit;
    }
  }

  #deliverHead(): void {
    if (this.#head !== undefined && !this.#sink.headSent) this.#sink.head(this.#receipted(this.#head));
  }

  /** The decision is durable by now, and so the receipt can say where it stands. */
  #receipted({ status, headers }: AnswerHead): AnswerHead {
    return { status, headers: [...this.#records.receipt(), ...headers] };
  }

  #giveCredit(credit: number): void {
    if (this.#clientBlocked) this.#owedCredit += credit;
    else if (credit > 0) this.#upstream?.consumed(credit);
  }

  #clientDrained(): void {
    const owed = this.#owedCredit;
    this.#clientBlocked = false;
    this.#owedCredit = 0;
    if (owed > 0) this.#upstream?.consumed(owed);
  }

  #clientGone(): void {
    if (this.#state === "ended") return;
    this.#close();
    this.#upstream?.cancel("the client is gone");
    const status = this.#head?.status ?? 0;
    this.#records.answered(NOTHING, status, "client_gone").then(this.#settle.resolve, this.#settle.resolve);
  }

  #close(): void {
    this.#state = "ended";
    clearTimeout(this.#timer);
    this.#session?.offEnd(this);
    this.#decoder?.close();
    this.#wakeUpstream?.();
    this.#fresh = [];
  }
}

/** An answer that is of no use before its end waits for it up to this; a larger one flows. */
const IN_ONE_BYTES = 65_536;
/** Reasons of one call that are kept. */
const MAX_UNINSPECTED = 20;

/** What masking refuses is said of the answer, and not of the request. */
function answerRefused(thrown: unknown): HoopishError {
  const { code, message } = toHoopishError(thrown);
  return new HoopishError(code, `the answer: ${message}`);
}

const NOTHING = Buffer.alloc(0);
const joined = (chunks: readonly Buffer[]): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : chunks.length === 0 ? NOTHING : Buffer.concat(chunks);

const tooLarge = (limit: number): HoopishError =>
  new HoopishError("response_too_large", `the answer is larger than ${limit} bytes, this connection's limit`);
