/**
 * A thread that has the database open. Of @hoopish/protocol it and what it imports take the parts (`/record`, `/tlog`): the
 * whole brings schemas that it has no use for, 15 MiB a thread.
 */
import { readlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { SignedCheckpoint } from "../../evidence/port.ts";
import type { PackedRecords } from "./bundle-queries.ts";
import { CheckpointHelper, Checkpoints } from "./checkpoints.ts";
import { type DatabaseOptions, openCheckpointer, openReader, openWriter } from "./database.ts";
import type { ExportBatch } from "./export-queries.ts";
import { type Recovered, recoverIntake } from "./intake/recovery.ts";
import type { PayloadBytes } from "./payload-queries.ts";
import { Query } from "./query.ts";
import { Reader } from "./reader.ts";
import { Purger } from "./retention/purger.ts";
import { type RingBatch, RingReader } from "./ring.ts";
import { controlOf, RING_URGENT, SLOTS, WRITER_ASLEEP } from "./shared.ts";
import { CheckpointWriter } from "./tree/checkpoint-writer.ts";
import { TreeReader } from "./tree/tree-reader.ts";
import { Writer } from "./writer.ts";

export interface ThreadData extends DatabaseOptions {
  readonly memory: SharedArrayBuffer;
}

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** An error as it crosses threads: class and prototype are lost on the way. */
export interface WireError {
  readonly message: string;
  readonly code: string | undefined;
  readonly errcode: number | undefined;
}

/**
 * `true`: the batch that somebody waits for is in the database. `stuck`: batches that are durable in the intake cannot be
 * brought into the database now; `moving`: they can again. `checkpoint`: signed, and durable.
 */
export type Reply =
  | true
  | "moving"
  | { readonly batch: WireError }
  | { readonly stuck: WireError }
  | { readonly checkpoint: SignedCheckpoint }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError };

/** What the writer's thread says when it has opened the database. */
export interface Opened {
  /** Records in the log. */
  readonly size: number;
  readonly intake: Recovered;
  /** Records that came from the intake: durable, and not in the database when the process before ended. */
  readonly recovered: number;
  /** What was signed last, and with which key, where that was another one. */
  readonly checkpoint: SignedCheckpoint;
  readonly previousKey: string | undefined;
}

interface Targets {
  readonly reader: Reader;
  readonly writer: Writer | undefined;
  readonly purger?: Purger;
  readonly signer?: { sign(): SignedCheckpoint; signAt(size: number): SignedCheckpoint; begin(): void };
}

/** Batches that are durable in the intake are gathered for so long, or until there is so much of them. */
const GATHER_MS = 25;
const GATHER_BYTES = 512 * 1024;
/** One transaction takes about so much. */
const TRANSACTION_BYTES = 1024 * 1024;
/** When the database takes nothing, it is tried again this often. */
const RETRY_MS = 250;

if (parentPort === null) throw new Error("this file is a worker");
const port = parentPort;
const data = workerData as ThreadData;
const control = controlOf(data.memory);
/** Messages that were answered. */
let taken = 0;

const reply = (message: Reply, transfer: readonly ArrayBuffer[] = []): void => port.postMessage(message, transfer);

const wireError = (thrown: unknown): WireError => {
  const { message, code, errcode } = thrown as { message?: string; code?: string; errcode?: number };
  return { message: message ?? String(thrown), code, errcode };
};

/**
 * What this thread does, nobody waits for: where processors are few, it must not take one from a call. Linux gives each
 * thread a priority of its own; elsewhere this thread keeps the process's.
 */
function stepBack(): void {
  try {
    const [, , tid] = readlinkSync("/proc/thread-self").split("/");
    setPriority(Number(tid), constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Not Linux, or not allowed: slower in the worst case, and nothing else.
  }
}

function runWriter(): void {
  stepBack();
  const open = openWriter(data);
  const reader = new Reader(open.db, data.keys);
  const writer = new Writer(open.db, data.keys.vault, new Checkpoints(open.db, control, data.path === ":memory:"));
  const query = new Query(open.db);
  // Looks at what is here before anything is brought into it.
  const signer = new CheckpointWriter(writer, query, new TreeReader(query), data.keys.log, Date.now);
  const before = writer.tree.size;
  const intake = recover(writer);
  const recovered = writer.tree.size - before;
  const { last: checkpoint, previousKey } = signer;
  reply({ id: 0, value: { size: reader.size(), recovered, intake, checkpoint, previousKey } satisfies Opened });
  const feed = new Feed(writer, new RingReader(data.memory), signer);
  const purger = new Purger(open.db, writer, data.keys.vault, data.path === ":memory:");
  const targets = {
    reader,
    writer,
    purger,
    signer: {
      sign: () => feed.sign(),
      signAt: (size: number) => signer.signAt(size),
      begin: () => feed.beginSigning(),
    },
  };
  for (;;) {
    const rung = Atomics.load(control, SLOTS.writer.bell);
    // A question is about all that was durable when it was asked.
    if (!answerAll(targets, SLOTS.writer.messages, () => feed.apply())) break;
    feed.applyIfDue();
    feed.signIfDue();
    Atomics.wait(control, SLOTS.writer.bell, rung, feed.sleepMs());
    Atomics.store(control, WRITER_ASLEEP, 0);
  }
  feed.end();
  open.close();
}

/** What a crash left in the intake comes into the database before anything else does. */
function recover(writer: Writer): Recovered {
  if (data.path === ":memory:") return { frames: 0, lastSeq: 0, lastSerial: 0, missing: false };
  const { intake: lastSeq, serial: lastSerial } = writer;
  const recovered = recoverIntake(data.path, data.keys.vault, { lastSeq, lastSerial }, (seq, bytes) => {
    writer.apply([{ seq, bytes }], false);
  });
  writer.sync();
  writer.settle();
  return recovered;
}

/** Brings what the ring holds into the database. */
class Feed {
  readonly #writer: Writer;
  readonly #ring: RingReader;
  readonly #signer: CheckpointWriter;
  /** performance.now() of when the first batch that waits was seen. */
  #since: number | undefined;
  #stuck = false;
  #signing: boolean;

  constructor(writer: Writer, ring: RingReader, signer: CheckpointWriter) {
    this.#writer = writer;
    this.#ring = ring;
    this.#signer = signer;
    this.#signing = data.signing === true;
  }

  beginSigning(): void {
    this.#signing = true;
  }

  signIfDue(): void {
    if (this.#signDueInMs() !== 0) return;
    try {
      this.sign();
    } catch {
      // The disk is full or broken: the next batch finds out and says so, and this is tried again.
    }
  }

  /** Signs what is in the database, and tells the server. */
  sign(): SignedCheckpoint {
    const before = this.#signer.last;
    const checkpoint = this.#signer.sign();
    if (checkpoint !== before) reply({ checkpoint });
    return checkpoint;
  }

  applyIfDue(): void {
    if (this.#ring.empty) {
      this.#since = undefined;
      return;
    }
    this.#since ??= performance.now();
    const due = this.#ring.waiting >= GATHER_BYTES || performance.now() - this.#since >= GATHER_MS;
    if (due || Atomics.exchange(control, RING_URGENT, 0) === 1) this.apply();
  }

  /** All of it. What the database does not take now stays where it is. */
  apply(): void {
    while (!this.#ring.empty && this.#applySome());
    this.#since = undefined;
    this.#writer.tidy();
  }

  /** Before an end in order: when all is in the database, the next start needs nothing of the intake. */
  end(): void {
    if (!this.#ring.empty) return;
    try {
      this.#writer.setSerial(0);
    } catch {
      // The disk is full or broken: the next start looks into the intake.
    }
  }

  sleepMs(): number | undefined {
    if (this.#stuck) return RETRY_MS;
    if (!this.#ring.empty) return GATHER_MS;
    Atomics.store(control, WRITER_ASLEEP, 1);
    // What was published before the flag stood had nobody to wake.
    const due = this.#signDueInMs();
    return this.#ring.empty ? (due === 0 ? RETRY_MS : due) : 0;
  }

  #signDueInMs(): number | undefined {
    return this.#signing ? this.#signer.dueInMs() : undefined;
  }

  /** @returns false when the database takes nothing now */
  #applySome(): boolean {
    const batches: RingBatch[] = [];
    let bytes = 0;
    for (const batch of this.#ring.batches()) {
      // A batch that somebody waits for may be refused: it stands and falls alone.
      if (batch.direct && batches.length > 0) break;
      batches.push(batch);
      bytes += batch.bytes.length;
      if (batch.direct || bytes >= TRANSACTION_BYTES) break;
    }
    const last = batches.at(-1);
    if (last === undefined) return false;
    try {
      this.#writer.apply(
        batches.map(({ seq, direct, bytes: packed }) => ({ seq: direct ? undefined : seq, bytes: packed })),
        last.direct,
      );
    } catch (thrown) {
      if (last.direct) {
        this.#ring.release(last);
        reply({ batch: wireError(thrown) });
        return true;
      }
      if (!this.#stuck) reply({ stuck: wireError(thrown) });
      this.#stuck = true;
      return false;
    }
    this.#ring.release(last);
    if (last.direct) reply(true);
    if (this.#stuck) reply("moving");
    this.#stuck = false;
    return true;
  }
}

function runReader(): void {
  const open = openReader(data);
  const other = openCheckpointer(data);
  const reader = new Reader(open.db, data.keys);
  const helper = new CheckpointHelper(other.db, control);
  reply({ id: 0, value: undefined });
  for (;;) {
    const rung = Atomics.load(control, SLOTS.reader.bell);
    if (!answerAll({ reader, writer: undefined }, SLOTS.reader.messages, () => undefined)) break;
    helper.tidy();
    Atomics.wait(control, SLOTS.reader.bell, rung);
  }
  other.close();
  open.close();
}

/**
 * @param before for each message, after it was received: what was durable when it was sent is in the ring by then
 * @returns false when it was told to close
 */
function answerAll(targets: Targets, messages: number, before: () => void): boolean {
  for (const due = Atomics.load(control, messages); taken !== due; taken = (taken + 1) | 0) {
    const received = receiveMessageOnPort(port) as { message: Request } | undefined;
    if (received === undefined) {
      // Counted for a thread that was here before this one.
      taken = due;
      break;
    }
    before();
    if (received.message.method === "close") return false;
    answer(received.message, targets);
  }
  return true;
}

function answer({ id, method, args }: Request, targets: Targets): void {
  try {
    const value = call(targets, method, args);
    reply({ id, value }, buffersOf(value));
  } catch (thrown) {
    reply({ id, error: wireError(thrown) });
  }
}

function call(targets: Targets, method: string, args: readonly unknown[]): unknown {
  const [target = "", name = ""] = method.split(".");
  const object = targets[target as keyof Targets] as Record<string, (...args: unknown[]) => unknown> | undefined;
  const found = object?.[name];
  if (found === undefined) throw new Error(`this thread has no ${method}`);
  return found.apply(object, args as unknown[]);
}

/** The bytes of an answer's payloads: they go to whoever asked, and are not copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const { pieces, items, bytes } = (value ?? {}) as Partial<PayloadBytes & ExportBatch & PackedRecords>;
  if (bytes !== undefined) return [bytes.buffer];
  const ofPieces = pieces?.map(({ bytes }): Uint8Array => bytes);
  const large = ofPieces ?? items?.flatMap((item) => (item.kind === "payload" ? [item.bytes] : [])) ?? [];
  return large.filter((part) => part.byteLength === part.buffer.byteLength).map((part) => part.buffer as ArrayBuffer);
}

try {
  if (data.role === "writer") runWriter();
  else runReader();
  reply({ id: -1, value: undefined });
} catch (thrown) {
  reply({ id: 0, error: wireError(thrown) });
}
