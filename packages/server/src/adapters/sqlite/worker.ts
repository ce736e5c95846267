/**
 * A thread that has the database open. It imports nothing of other packages at run time, so that it starts from source
 * and from dist alike.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { CheckpointHelper, Checkpoints } from "./checkpoints.ts";
import { type DatabaseOptions, openCheckpointer, openReader, openWriter } from "./database.ts";
import type { ExportBatch } from "./export-queries.ts";
import type { PayloadBytes } from "./payload-queries.ts";
import { Reader } from "./reader.ts";
import { BATCH, batchOf, controlOf, SLOTS } from "./shared.ts";
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

/** `true`: the batch in shared memory is durable. */
export type Reply =
  | true
  | { readonly batch: WireError }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError };

interface Targets {
  readonly reader: Reader;
  readonly writer: Writer | undefined;
}

/** With nothing to do for so long, the derived tables are brought up to the log. */
const IDLE_MS = 5;

if (parentPort === null) throw new Error("this file is a worker");
const port = parentPort;
const data = workerData as ThreadData;
const control = controlOf(data.memory);

const reply = (message: Reply, transfer: readonly ArrayBuffer[] = []): void => port.postMessage(message, transfer);

const wireError = (thrown: unknown): WireError => {
  const { message, code, errcode } = thrown as { message?: string; code?: string; errcode?: number };
  return { message: message ?? String(thrown), code, errcode };
};

/** What the thread does when it has answered, and when it has had nothing to do for a while. */
interface Chores {
  readonly waiting: boolean;
  tidy(idle: boolean): void;
}

try {
  if (data.role === "writer") runWriter();
  else runReader();
  reply({ id: -1, value: undefined });
} catch (thrown) {
  reply({ id: 0, error: wireError(thrown) });
}

function runWriter(): void {
  const open = openWriter(data);
  const reader = new Reader(open.db);
  const writer = new Writer(open.db, new Checkpoints(open.db, control, data.path === ":memory:"));
  reply({ id: 0, value: reader.size() });
  serve({ reader, writer }, writer);
  open.close();
}

function runReader(): void {
  const open = openReader(data);
  const other = openCheckpointer(data);
  const reader = new Reader(open.db);
  const helper = new CheckpointHelper(other.db, control);
  reply({ id: 0, value: reader.size() });
  serve({ reader, writer: undefined }, helper);
  other.close();
  open.close();
}

/** Until it is told to close. */
function serve(targets: Targets, chores: Chores): void {
  const batch = batchOf(data.memory);
  const { bell, messages } = SLOTS[data.role];
  let taken = 0;
  for (;;) {
    const rung = Atomics.load(control, bell);
    if (targets.writer !== undefined) commitWaiting(targets.writer, batch);
    for (const due = Atomics.load(control, messages); taken !== due; taken = (taken + 1) | 0) {
      const received = receiveMessageOnPort(port) as { message: Request } | undefined;
      if (received === undefined) {
        // Counted for a thread that was here before this one.
        taken = due;
        break;
      }
      if (received.message.method === "close") return;
      answer(received.message, targets);
    }
    chores.tidy(false);
    if (Atomics.wait(control, bell, rung, chores.waiting ? IDLE_MS : undefined) === "timed-out") chores.tidy(true);
  }
}

function commitWaiting(writer: Writer, batch: Buffer): void {
  const length = Atomics.load(control, BATCH);
  if (length === 0) return;
  Atomics.store(control, BATCH, 0);
  try {
    writer.commit(batch.subarray(0, length));
    reply(true);
  } catch (thrown) {
    reply({ batch: wireError(thrown) });
  }
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
  const { bytes, items } = (value ?? {}) as Partial<PayloadBytes & ExportBatch>;
  const large = bytes ?? items?.flatMap((item) => (item.kind === "payload" ? [item.bytes] : [])) ?? [];
  return large.filter((part) => part.byteLength === part.buffer.byteLength).map((part) => part.buffer as ArrayBuffer);
}
