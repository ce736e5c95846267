/**
 * A thread that has the database open. It imports nothing of other packages at run time, so that it starts from source
 * and from dist alike.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { Checkpoints, serveCheckpoints } from "./checkpoints.ts";
import { type DatabaseOptions, openCheckpointer, openReader, openWriter } from "./database.ts";
import type { ExportBatch } from "./export-queries.ts";
import type { PayloadBytes } from "./payload-queries.ts";
import { Reader } from "./reader.ts";
import { BATCH, BELL, batchOf, controlOf, MESSAGES } from "./shared.ts";
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

try {
  if (data.role === "checkpointer") runCheckpointer();
  else runServer(data.role);
  reply({ id: -1, value: undefined });
} catch (thrown) {
  reply({ id: 0, error: wireError(thrown) });
}

function runCheckpointer(): void {
  const open = openCheckpointer(data);
  reply({ id: 0, value: 0 });
  serveCheckpoints(open.db, control);
  open.close();
}

function runServer(role: "writer" | "reader"): void {
  const open = role === "writer" ? openWriter(data) : openReader(data);
  const reader = new Reader(open.db);
  const alone = data.path === ":memory:";
  const writer = role === "writer" ? new Writer(open.db, new Checkpoints(open.db, control, alone)) : undefined;
  reply({ id: 0, value: reader.size() });
  serve(reader, writer);
  open.close();
}

/** Until it is told to close. */
function serve(reader: Reader, writer: Writer | undefined): void {
  const batch = batchOf(data.memory);
  let messages = 0;
  for (;;) {
    const bell = Atomics.load(control, BELL);
    const length = Atomics.load(control, BATCH);
    if (length > 0 && writer !== undefined) {
      Atomics.store(control, BATCH, 0);
      commit(writer, batch.subarray(0, length));
    }
    for (; messages !== Atomics.load(control, MESSAGES); messages = (messages + 1) | 0) {
      const received = receiveMessageOnPort(port) as { message: Request } | undefined;
      if (received === undefined) break;
      if (received.message.method === "close") return;
      answer(received.message, reader, writer);
    }
    writer?.tidy(false);
    const waited = Atomics.wait(control, BELL, bell, writer?.idleWork ? IDLE_MS : undefined);
    if (waited === "timed-out") writer?.tidy(true);
  }
}

function commit(writer: Writer, batch: Buffer): void {
  try {
    writer.commit(batch);
    reply(true);
  } catch (thrown) {
    reply({ batch: wireError(thrown) });
  }
}

function answer({ id, method, args }: Request, reader: Reader, writer: Writer | undefined): void {
  try {
    const value = call(reader, writer, method, args);
    reply({ id, value }, buffersOf(value));
  } catch (thrown) {
    reply({ id, error: wireError(thrown) });
  }
}

function call(reader: Reader, writer: Writer | undefined, method: string, args: readonly unknown[]): unknown {
  const targets: Readonly<Record<string, unknown>> = { reader, writer };
  const [target = "", name = ""] = method.split(".");
  const object = targets[target] as Record<string, (...args: readonly unknown[]) => unknown> | undefined;
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
