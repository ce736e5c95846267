import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { HoopishError, type PostgresAnswer, toHoopishError } from "@hoopish/protocol";
import {
  authenticationOk,
  backendKeyData,
  errorResponse,
  type Message,
  MessageReader,
  negotiateProtocolVersion,
  parameterStatus,
  parseStartup,
  readyForQuery,
} from "@hoopish/protocol/postgres";
import { refuseUnparsed, relayCall } from "../../relay/call.ts";
import type { RelayPorts } from "../../relay/ports.ts";
import type { EndListener } from "../../sessions/end-listeners.ts";
import type { Session } from "../../sessions/session.ts";
import { LINGER_MS } from "../line.ts";
import { asksNothing, type Batch, BatchReader, type Unit } from "./batch.ts";
import { CopyIn } from "./copy-in.ts";
import { Names } from "./names.ts";
import { type AnswerLine, PostgresAnswerSink } from "./postgres-answer.ts";
import { type BatchLine, PostgresExchange } from "./postgres-exchange.ts";
import { refusedExchange } from "./refused-exchange.ts";
import { readStartUp } from "./start-up.ts";
import { Talk } from "./talk.ts";

/** A start-up must be complete within this time. */
const START_UP_MS = 10_000;
/** For the agent's connection and its sign-in at the database. */
const CONNECT_MS = 15_000;
/** Batches of a client that does not wait for answers, at most; then it is not read from. */
const MAX_QUEUED = 64;
const NO: Buffer = Buffer.from("N");

/** Running queries of a session, by the key with which a client may have them cancelled. */
export interface CancelKeys {
  add(line: PostgresLine): Buffer;
  remove(line: PostgresLine): void;
  cancel(session: Session, key: Buffer): void;
}

/**
 * One client's connection: answers its start-up, puts its messages together to batches, and gives each to the list, one after
 * another. The client never speaks with the database, and the database never with the client: what either says is read.
 */
export class PostgresLine implements AnswerLine, BatchLine {
  readonly session: Session;
  readonly names: Names = new Names();
  readonly talk: Talk;
  database = "";
  cancelRequested = false;
  readonly #stream: Duplex;
  readonly #ports: RelayPorts;
  readonly #keys: CancelKeys;
  readonly #reader: MessageReader;
  readonly #batches: BatchReader;
  readonly #types = new Map<string, readonly number[]>();
  readonly #queue: (Batch | "end" | HoopishError)[] = [];
  #wake: (() => void) | undefined;
  #started = false;
  /** An error was said: messages are passed over up to the next Sync. */
  #skips = false;
  #copyIn: CopyIn | undefined;
  #copiesExtended = false;
  #closed = false;
  #answer: { resolve: (answer: PostgresAnswer) => void; reject: (error: HoopishError) => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #exchange: PostgresExchange | undefined;

  constructor(stream: Duplex, session: Session, ports: RelayPorts, keys: CancelKeys) {
    this.#stream = stream;
    this.session = session;
    this.#ports = ports;
    this.#keys = keys;
    const { requestBytes, responseBytes } = session.connection.limits;
    this.#reader = new MessageReader({ side: "frontend", startup: true, maxMessageBytes: requestBytes });
    this.#batches = new BatchReader(requestBytes);
    this.talk = new Talk({
      maxMessageBytes: responseBytes,
      onAnswer: (answer) => this.#answer?.resolve(answer),
      onEnded: (reason) => this.#databaseGone(reason),
      onTransactionEnded: () => this.names.transactionEnded(),
    });
  }

  get quiet(): boolean {
    return !this.talk.busy;
  }
  get status(): "I" | "T" | "E" {
    return this.talk.status;
  }
  get ending(): boolean {
    return this.#closed || this.session.ended !== undefined || this.#ports.draining();
  }

  readonly typesOf = (statement: string): readonly number[] => this.#types.get(statement) ?? [];

  readonly noteTypes = (statement: string, types: readonly number[]): void => {
    this.#types.set(statement, types);
  };

  readonly failed = (unit: Unit): void => {
    if (unit.kind === "parse" && unit.name === "") this.names.unnamedFailed();
  };

  readonly done = (unit: Unit): void => {
    if (unit.kind === "parse") this.names.became(unit.name, unit.sql);
    else if (unit.kind === "close") this.names.closed(unit.what, unit.name);
  };

  start(): void {
    const { talk } = this;
    this.#timer = setTimeout(
      () => this.#fatal(new HoopishError("request_timeout", "the start-up came too slowly")),
      START_UP_MS,
    );
    this.session.onEnd(this.#sessionEnd);
    this.#stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#stream.on("end", () => this.#enqueue("end"));
    this.#stream.on("close", () => {
      clearTimeout(this.#timer);
      this.#closed = true;
      this.session.offEnd(this.#sessionEnd);
      this.#keys.remove(this);
      this.#copyIn?.end();
      if (talk.busy) talk.link.cancelQuery();
      talk.close("the client closed the connection");
      this.#answer?.reject(new HoopishError("session_closed", "the client closed the connection"));
      this.#wake?.();
    });
  }

  /** The server is about to stop. */
  end(): void {
    if (this.#exchange === undefined && this.#started && !this.#closed) {
      this.#fatal(new HoopishError("server_draining", "the server stops; connect again"));
    } else this.#close();
  }

  /** A connection that waits for nothing is told why it ends; a call that runs says it itself. */
  readonly #sessionEnd: EndListener = {
    place: -1,
    sessionEnded: ({ code, reason }) => {
      if (this.#exchange === undefined && this.#started && !this.#closed) this.#fatal(new HoopishError(code, reason));
    },
  };

  /** The client, or somebody who knows its key, asks that what runs be cancelled. */
  cancel(): void {
    if (this.#exchange === undefined) return;
    if (this.talk.busy) this.talk.link.cancelQuery();
    else {
      this.cancelRequested = true;
      this.#exchange.answer.withdraw();
    }
  }

  #onData(chunk: Buffer): void {
    try {
      for (const message of this.#reader.push(chunk)) {
        if (this.#closed) return;
        if (message.type === "") this.#startUp(message);
        else this.#message(message);
      }
    } catch (cause) {
      // Whatever it is, it costs this connection and no other.
      const why = (cause as Error).message;
      this.#refuseLine(new HoopishError("bad_request", `that is not PostgreSQL's protocol: ${why}`, { cause }));
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) this.#stream.pause();
  }

  #message(message: Message): void {
    if (message.type === "X") {
      this.#enqueue("end");
      return;
    }
    if (/^[dcf]$/.test(message.type)) {
      this.#copyData(message);
      return;
    }
    if (this.#copyIn?.open === true) {
      // PostgreSQL passes over Sync and Flush while it is copied into.
      if (message.type !== "S" && message.type !== "H") {
        this.#refuseLine(new HoopishError("bad_request", "a message came in the middle of a COPY"));
      }
      return;
    }
    if (this.#copiesExtended && message.type === "S") {
      this.#copiesExtended = false;
      this.talk.write(message.bytes);
      return;
    }
    try {
      const batch = this.#batches.push(message);
      if (batch !== undefined) this.#enqueue(batch);
    } catch (thrown) {
      this.#batches.reset();
      if (!(thrown instanceof HoopishError)) {
        this.#refuseLine(new HoopishError("bad_request", `a message cannot be read: ${(thrown as Error).message}`));
      } else this.#enqueue(thrown);
    }
  }

  #copyData({ type, bytes }: Message): void {
    const copy = this.#copyIn;
    // Without a COPY that runs it is the rest of one that failed: PostgreSQL passes over it, too.
    if (copy?.open !== true) return;
    if (!copy.push(bytes)) this.#stream.pause();
    if (type !== "d") copy.end();
  }

  #enqueue(item: Batch | "end" | HoopishError): void {
    this.#queue.push(item);
    this.#wake?.();
  }

  #startUp(message: Message): void {
    const packet = parseStartup(message.body);
    switch (packet.kind) {
      case "ssl":
      case "gssenc":
        this.#stream.write(NO);
        return;
      case "cancel":
        this.#keys.cancel(this.session, Buffer.concat([int32(packet.pid), packet.key]));
        this.#stream.end();
        return;
      case "startup":
        if (this.#started) return;
        this.#started = true;
        clearTimeout(this.#timer);
        this.#run(packet.minor, packet.parameters).catch((thrown: unknown) => this.#fatal(toHoopishError(thrown)));
    }
  }

  async #run(minor: number, parameters: ReadonlyMap<string, string>): Promise<void> {
    let greeting: Buffer;
    try {
      greeting = await this.#connect(minor, parameters);
    } catch (thrown) {
      await this.#refuseStart(toHoopishError(thrown));
      return;
    }
    this.#stream.write(greeting);
    for (let item = await this.#next(); item !== "end"; item = await this.#next()) {
      if (item instanceof HoopishError) await this.#refuseBatch(item);
      else await this.#serve(item);
    }
    this.#close();
  }

  async #connect(minor: number, parameters: ReadonlyMap<string, string>): Promise<Buffer> {
    const asked = readStartUp(parameters);
    const { connection } = this.session;
    this.database = asked.database ?? "";
    if (this.session.ended !== undefined) throw new HoopishError(this.session.ended.code, this.session.ended.reason);
    if (this.#ports.draining()) throw new HoopishError("server_draining", "the server is about to stop; try again");
    const answered = new Promise<PostgresAnswer>((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
    answered.catch(() => undefined);
    this.talk.link = this.#ports.agents.connect(
      connection,
      {
        ":kind": "postgres",
        connection: connection.name,
        link: randomBytes(18).toString("base64url"),
        ...(asked.database === undefined || asked.database === "" ? {} : { database: asked.database.slice(0, 128) }),
        parameters: asked.parameters,
        timeoutMs: CONNECT_MS,
      },
      this.talk,
    );
    const answer = await answered;
    if ("error" in answer) throw new HoopishError(answer.error.code, answer.error.message);
    this.database = answer.database;
    refuseOtherReading(answer.parameters);
    const told: Buffer[] = [];
    for (let i = 0; i + 1 < answer.parameters.length; i += 2) {
      told.push(parameterStatus(answer.parameters[i] as string, answer.parameters[i + 1] as string));
    }
    const key = this.#keys.add(this);
    return Buffer.concat([
      ...(minor > 0 || asked.unknown.length > 0 ? [negotiateProtocolVersion(0, asked.unknown)] : []),
      authenticationOk(),
      ...told,
      backendKeyData(key.readInt32BE(0), key.subarray(4)),
      readyForQuery("I"),
    ]);
  }

  async #next(): Promise<Batch | "end" | HoopishError> {
    for (;;) {
      if (this.#closed) return "end";
      const item = this.#queue.shift();
      if (item !== undefined) {
        if (this.#queue.length < MAX_QUEUED / 2) this.#stream.resume();
        return item;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #serve(batch: Batch): Promise<void> {
    if (this.#skips) {
      if (batch.end === "flush") return;
      this.#skips = false;
      // What came before the Sync is passed over; the Sync itself ends the failed part.
      if (batch.end === "sync") return this.#pass({ end: "sync", units: [] });
    }
    if (asksNothing(batch)) return this.#pass(batch);
    this.cancelRequested = false;
    const copy = new CopyIn(() => this.#stream.resume());
    this.#copyIn = copy;
    this.#copiesExtended = false;
    const sink = new PostgresAnswerSink(this.#stream, this, batch.end !== "flush");
    const exchange = new PostgresExchange(this, batch, copy, sink);
    this.#exchange = exchange;
    await relayCall(this.session, exchange, this.#ports);
    copy.end();
    await this.#afterCall(sink, batch);
  }

  async #afterCall(sink: PostgresAnswerSink, batch: Batch): Promise<void> {
    this.#exchange = undefined;
    sink.release();
    await this.talk.idle();
    if (this.ending && sink.failed) return this.#close();
    if (sink.owesReady && !this.#closed) this.#stream.write(readyForQuery(this.talk.status));
    if (sink.failed && batch.end === "flush") this.#skips = true;
    else if (batch.end === "flush" && this.talk.facts.failed) this.#skips = true;
  }

  /** What asks for nothing goes by without a call: what is answered says nothing. */
  async #pass(batch: Batch): Promise<void> {
    if (this.#closed) return;
    if (this.ending) return this.#fatal(new HoopishError("session_closed", "the session has ended"));
    const { talk } = this;
    talk.begin({
      batch,
      messages: batch.units.map(({ bytes }) => bytes),
      listener: {
        onAnswer: () => undefined,
        onData: (bytes) => {
          this.#stream.write(bytes);
          talk.link.consumed(bytes.length);
        },
        onEnd: () => undefined,
        onBroken: () => undefined,
        onDrain: () => undefined,
        onFailed: () => undefined,
      },
      masker: () => undefined,
      done: this.done,
      failed: () => undefined,
      maxRows: 0,
      onCopyIn: () => undefined,
    });
    await talk.idle();
  }

  /** A batch that cannot be a call at all. */
  async #refuseBatch(error: HoopishError): Promise<void> {
    const sink = new PostgresAnswerSink(this.#stream, this, false);
    await refuseUnparsed(this.session, refusedExchange("Message", this.database, sink), error, this.#ports);
    this.#skips = true;
    if (this.ending) this.#close();
  }

  async #refuseStart(error: HoopishError): Promise<void> {
    this.#closed = true;
    const sink = new PostgresAnswerSink(this.#stream, this, false);
    await refuseUnparsed(this.session, refusedExchange("Connect", this.database, sink), error, this.#ports);
    this.#close();
  }

  /** What came is no message: nothing after it can be trusted to be one. */
  #refuseLine(error: HoopishError): void {
    if (this.#closed) return;
    this.#stream.pause();
    if (!this.#started) {
      this.#started = true;
      void this.#refuseStart(error);
    } else this.#fatal(error);
  }

  #databaseGone(reason: string): void {
    this.#answer?.reject(new HoopishError("upstream_failed", reason));
    if (this.#closed || this.#answer === undefined) return;
    // A call that runs says it itself.
    if (this.#exchange === undefined) this.#fatal(new HoopishError("upstream_failed", reason));
    else this.#closed = true;
  }

  #fatal(error: HoopishError): void {
    if (!this.#stream.destroyed) {
      const { sqlstate } = error.shape;
      this.#stream.write(errorResponse({ S: "FATAL", V: "FATAL", C: sqlstate, M: `hoopish: ${error.message}` }));
    }
    this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#wake?.();
    if (this.#stream.destroyed) return;
    this.#stream.end();
    this.#stream.resume();
    setTimeout(() => this.#stream.destroy(), LINGER_MS).unref();
  }
}

/** @throws HoopishError upstream_failed where texts would be read otherwise than they are judged */
function refuseOtherReading(parameters: readonly string[]): void {
  for (let i = 0; i + 1 < parameters.length; i += 2) {
    if (parameters[i] === "standard_conforming_strings" && parameters[i + 1] !== "on") {
      throw new HoopishError(
        "upstream_failed",
        "the database reads texts in another way than they are judged (standard_conforming_strings)",
      );
    }
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
