import { HoopishError } from "@hoopish/protocol";
import { describe, errorFields, type Message, MessageReader, readyStatus, sync } from "@hoopish/protocol/postgres";
import type { BodyMasker } from "../../masking/masker.ts";
import type { DatabaseLink, LinkListener, UpstreamListener } from "../../relay/ports.ts";
import type { Batch } from "./batch.ts";
import { httpStatusOf } from "./sqlstate.ts";

/** What the database has to say to one message; `hidden`: the client did not ask. */
interface Expected {
  readonly answer: "1" | "2" | "3" | "T" | "C";
  readonly hidden?: true;
  readonly done?: () => void;
  readonly failed?: () => void;
}

/** One batch at the database. */
export interface Turn {
  readonly batch: Batch;
  /** As they go out; in the order of the batch's units. */
  readonly messages: readonly Buffer[];
  readonly listener: UpstreamListener;
  /** Sees the descriptions of rows that the client does not get. */
  readonly masker: () => BodyMasker | undefined;
  /** Hears of each message to which the database has said that it is done. */
  readonly done: (unit: Batch["units"][number]) => void;
  /** Hears of the message that the database refused. */
  readonly failed: (unit: Batch["units"][number]) => void;
  readonly maxRows: number;
  /** The database takes a COPY's data from now on. */
  readonly onCopyIn: () => void;
}

/** How a turn went. */
export interface TurnFacts {
  rows: number;
  /** As an HTTP status. */
  status: number;
  failed: boolean;
}

/** Time that a database has to stop what it was asked to cancel. */
const CANCEL_MS = 5_000;
/** What a database says without being asked waits for the next call, up to this. */
const MAX_ASIDE = 1_048_576;

/**
 * The database's side of one connection: sends batches one after another, and knows from its answers where each ends. No
 * socket, no record; what comes is handed on as it is, but for what only this connection asked for.
 */
export class Talk implements LinkListener {
  /** As the database said last: idle, in a transaction, in a failed one. */
  status: "I" | "T" | "E" = "I";
  facts: TurnFacts = { rows: 0, status: 200, failed: false };
  readonly #reader: MessageReader;
  readonly #ended: (reason: string) => void;
  readonly #transactionEnded: () => void;
  #link: DatabaseLink | undefined;
  #turn: Turn | undefined;
  #expected: Expected[] = [];
  #abandoned: NodeJS.Timeout | undefined;
  #answering = false;
  #aside: Buffer[] = [];
  #asideBytes = 0;
  #idle: (() => void) | undefined;
  #drained: (() => void) | undefined;
  onAnswer: LinkListener["onAnswer"];

  constructor(options: {
    readonly maxMessageBytes: number;
    readonly onAnswer: LinkListener["onAnswer"];
    readonly onEnded: (reason: string) => void;
    readonly onTransactionEnded: () => void;
  }) {
    this.#reader = new MessageReader({ side: "backend", maxMessageBytes: options.maxMessageBytes, joins: "D" });
    this.onAnswer = options.onAnswer;
    this.#ended = options.onEnded;
    this.#transactionEnded = options.onTransactionEnded;
  }

  set link(link: DatabaseLink) {
    this.#link = link;
  }
  get link(): DatabaseLink {
    if (this.#link === undefined) throw new TypeError("there is no link yet");
    return this.#link;
  }
  get busy(): boolean {
    return this.#turn !== undefined;
  }

  /** Resolves when the database has said the last of what it was asked. */
  idle(): Promise<void> {
    if (this.#turn === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  begin(turn: Turn): void {
    this.#turn = turn;
    this.#answering = false;
    this.facts = { rows: 0, status: 200, failed: false };
    this.#expected = [];
    const out: Buffer[] = [];
    // The portal whose columns are described last: they are those by which rows are looked into, whosesoever they are.
    let described: string | undefined;
    turn.batch.units.forEach((unit, i) => {
      const bytes = turn.messages[i] as Buffer;
      const done = (): void => turn.done(unit);
      const failed = (): void => turn.failed(unit);
      switch (unit.kind) {
        case "query":
          break;
        case "parse":
          this.#expected.push({ answer: "1", done, failed });
          break;
        case "bind":
          if (described === unit.portal) described = undefined;
          this.#expected.push({ answer: "2", done });
          break;
        case "describe":
          described = unit.what === "P" ? unit.name : undefined;
          this.#expected.push({ answer: "T", done });
          break;
        case "execute":
          // Rows can be looked into by those alone who know their columns.
          if (described !== unit.portal) {
            described = unit.portal;
            out.push(describe("P", unit.portal));
            this.#expected.push({ answer: "T", hidden: true });
          }
          this.#expected.push({ answer: "C", done });
          break;
        case "close":
          this.#expected.push({ answer: "3", done });
      }
      out.push(bytes);
    });
    if (turn.batch.end === "sync") out.push(sync());
    else if (turn.batch.end === "flush") out.push(FLUSH);
    this.link.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
    if (turn.batch.end === "flush" && this.#expected.length === 0) this.#finish();
  }

  /** More of the batch that runs: a COPY's data. False: wait for `drained`. */
  write(bytes: Buffer): boolean {
    return this.link.write(bytes);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Nobody wants the answer any more: the database is asked to stop, and what it still says is thrown away. */
  abandon(): void {
    if (this.#turn === undefined || this.#abandoned !== undefined) return;
    this.link.cancelQuery();
    this.#abandoned = setTimeout(
      () => this.link.close("the database did not stop what it was asked to cancel"),
      CANCEL_MS,
    );
    this.#abandoned.unref();
  }

  close(reason: string): void {
    clearTimeout(this.#abandoned);
    this.#link?.close(reason);
  }

  onData(bytes: Buffer): void {
    try {
      this.#read(this.#reader.push(bytes));
    } catch (error) {
      this.#broken(`the database broke the protocol: ${(error as Error).message}`);
    }
  }

  #read(messages: readonly Message[]): void {
    const out: Buffer[] = [];
    let kept = 0;
    for (const message of messages) {
      const turn = this.#turn;
      if (turn === undefined) {
        this.#takeAside(message);
        continue;
      }
      if (this.#take(message, turn)) {
        out.push(message.bytes);
        kept += message.bytes.length;
      } else {
        this.#give(turn, out, kept);
        out.length = 0;
        kept = 0;
        // What looks into the rows is there from the answer's beginning on, and this may be it.
        this.#beginAnswer(turn);
        turn.masker()?.push(message.bytes);
        this.link.consumed(message.bytes.length);
      }
      if (this.#isOver(message, turn)) {
        this.#give(turn, out, kept);
        out.length = 0;
        kept = 0;
        this.#finish();
      }
    }
    if (this.#turn !== undefined) this.#give(this.#turn, out, kept);
  }

  onEnd(reason: string): void {
    this.#broken(reason);
  }

  onDrain(): void {
    this.#drained?.();
    this.#drained = undefined;
    this.#turn?.listener.onDrain();
  }

  /** @returns whether the client gets it */
  #take(message: Message, turn: Turn): boolean {
    const { facts } = this;
    switch (message.type) {
      case "D":
        facts.rows += message.count;
        // Once, when the limit is passed.
        if (facts.rows > turn.maxRows && facts.rows - message.count <= turn.maxRows && this.#abandoned === undefined) {
          const why = `the answer has more than ${turn.maxRows} rows, this connection's limit`;
          turn.listener.onFailed(new HoopishError("response_too_large", why));
        }
        return true;
      case "T":
      case "n": {
        // A simple query's rows are described without being asked for.
        if (this.#expected[0]?.answer !== "T") return true;
        const expected = this.#expected.shift();
        expected?.done?.();
        return expected?.hidden !== true;
      }
      case "1":
      case "2":
      case "3":
        if (this.#expected[0]?.answer === message.type) this.#expected.shift()?.done?.();
        return true;
      case "C":
      case "I":
      case "s":
        if (this.#expected[0]?.answer === "C") this.#expected.shift()?.done?.();
        return true;
      case "G":
        turn.onCopyIn();
        return true;
      case "E":
        facts.failed = true;
        facts.status = httpStatusOf(errorFields(message.body).get("C") ?? "XX000");
        this.#expected[0]?.failed?.();
        this.#expected = [];
        return true;
      case "S":
        // Texts would be read otherwise than they were judged.
        if (/^standard_conforming_strings\0(?!on\0)/.test(message.body.toString("latin1"))) {
          throw new Error("it reads texts in another way than they were judged");
        }
        return true;
      case "Z": {
        const before = this.status;
        this.status = readyStatus(message.body);
        if (this.status === "I" && before !== "I") this.#transactionEnded();
        return true;
      }
      default:
        return true;
    }
  }

  #isOver({ type }: Message, { batch }: Turn): boolean {
    if (batch.end !== "flush") return type === "Z";
    return this.#expected.length === 0 && /^[123TnCIsE]$/.test(type);
  }

  #give(turn: Turn, out: readonly Buffer[], length: number): void {
    if (length === 0) return;
    const bytes = asOne(out, length);
    if (this.#abandoned !== undefined) {
      this.link.consumed(length);
      return;
    }
    this.#beginAnswer(turn);
    turn.listener.onData(bytes);
  }

  #beginAnswer(turn: Turn): void {
    if (this.#answering || this.#abandoned !== undefined) return;
    this.#answering = true;
    turn.listener.onAnswer({ status: 200, headers: [] });
    const aside = this.#aside;
    this.#aside = [];
    this.#asideBytes = 0;
    for (const one of aside) turn.listener.onData(one);
  }

  #finish(): void {
    const turn = this.#turn;
    const abandoned = this.#abandoned !== undefined;
    clearTimeout(this.#abandoned);
    this.#abandoned = undefined;
    this.#turn = undefined;
    this.#expected = [];
    if (turn !== undefined && !abandoned) {
      this.#beginAnswer(turn);
      turn.listener.onEnd([]);
    }
    const idle = this.#idle;
    this.#idle = undefined;
    idle?.();
  }

  /** Between two calls: it is given with the next one's answer, because only with a call can it be recorded. */
  #takeAside({ type, bytes }: Message): void {
    if (type === "E") return;
    this.#asideBytes += bytes.length;
    if (this.#asideBytes > MAX_ASIDE) this.#broken("the database says too much without being asked");
    else this.#aside.push(bytes);
  }

  #broken(reason: string): void {
    const turn = this.#turn;
    this.#turn = undefined;
    clearTimeout(this.#abandoned);
    const idle = this.#idle;
    this.#idle = undefined;
    this.#link?.close(reason);
    this.#ended(reason);
    if (this.#abandoned === undefined) turn?.listener.onBroken(reason);
    idle?.();
    this.#drained?.();
  }
}

/** Without a copy where they stand one behind the other still, as they came. */
function asOne(messages: readonly Buffer[], length: number): Buffer {
  const first = messages[0] as Buffer;
  let end = first.byteOffset;
  for (const { buffer, byteOffset, length: size } of messages) {
    if (buffer !== first.buffer || byteOffset !== end) return Buffer.concat(messages, length);
    end += size;
  }
  return Buffer.from(first.buffer, first.byteOffset, length);
}

const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);
