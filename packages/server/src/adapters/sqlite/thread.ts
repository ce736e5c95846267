import { Worker } from "node:worker_threads";
import type { SignedCheckpoint } from "../../evidence/port.ts";
import { StoreLost } from "../../evidence/store.ts";
import type { DatabaseOptions } from "./database.ts";
import { RingWriter } from "./ring.ts";
import { controlOf, RING_URGENT, ring, SLOTS, type Slots, WRITER_ASLEEP } from "./shared.ts";
import type { Opened, Reply, Request, ThreadData, WireError } from "./worker.ts";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** An error of SQLite, or of opening the database, as its thread told it. */
export class SqliteError extends Error {
  override readonly name = "SqliteError";
  readonly code: string | undefined;
  /** SQLite's extended result code: https://sqlite.org/rescode.html */
  readonly errcode: number | undefined;

  constructor({ message, code, errcode }: WireError) {
    super(message);
    this.code = code;
    this.errcode = errcode;
  }
}

/**
 * A thread makes small objects that do not last, with payload behind them outside the heap: a small young generation lets
 * go of both sooner (20 to 30 MiB less resident after 256 MiB were read back).
 */
const YOUNG_GENERATION_MIB = 2;
/** With so much in the ring the writer is told not to gather any longer. */
const MUCH_BYTES = 1024 * 1024;

/** A database thread, seen from the server's. */
export class DatabaseThread {
  /** The writer's: where batches are placed for it. */
  readonly ring: RingWriter;
  /** The writer has signed the log. */
  onCheckpoint: (checkpoint: SignedCheckpoint) => void = () => undefined;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #slots: Slots;
  readonly #waiting = new Map<number, Waiting>();
  #opened: Opened | undefined;
  #batchWaiting: Waiting | undefined;
  #stuck: SqliteError | undefined;
  #lost: StoreLost | undefined;
  #nextId = 1;

  /** @throws SqliteError when the database cannot be opened */
  static async open(
    options: DatabaseOptions,
    memory: SharedArrayBuffer,
    onEnd: () => void = () => undefined,
  ): Promise<DatabaseThread> {
    const thread = new DatabaseThread(options, memory, onEnd);
    const ended = new Promise((resolve) => thread.#worker.once("exit", resolve));
    try {
      thread.#opened = await new Promise<Opened | undefined>((resolve, reject) => {
        thread.#waiting.set(0, { resolve: resolve as Waiting["resolve"], reject });
      });
      return thread;
    } catch (error) {
      // Until then it holds the database and the lock: whoever is told may try again at once.
      await ended;
      throw error;
    }
  }

  private constructor(options: DatabaseOptions, memory: SharedArrayBuffer, onEnd: () => void) {
    this.ring = new RingWriter(memory);
    this.#control = controlOf(memory);
    this.#slots = SLOTS[options.role];
    // Left by a thread that ended before it took it: the intake has it.
    if (options.role === "writer") this.ring.clear();
    // The compiler rewrites imports, not URLs: from source this is worker.ts, from dist worker.js.
    const source = import.meta.url.endsWith(".ts");
    this.#worker = new Worker(new URL(source ? "./worker.ts" : "./worker.js", import.meta.url), {
      workerData: { ...options, memory } satisfies ThreadData,
      execArgv: ["--disable-warning=ExperimentalWarning", ...(source ? ["--conditions=@hoopish/source"] : [])],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
      name: `hoopish-store-${options.role}`,
    });
    this.#worker.on("message", (reply: Reply) => this.#take(reply));
    this.#worker.on("error", (cause) => this.#gone(cause));
    this.#worker.on("exit", () => this.#gone(undefined));
    this.#worker.once("exit", onEnd);
  }

  /** The thread has ended, and with it the connection. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** The writer's: what the database was when it was opened. */
  get opened(): Opened {
    if (this.#opened === undefined) throw new Error("this thread writes nothing");
    return this.#opened;
  }

  /** Why the database takes nothing now of what is durable in the intake. */
  get stuck(): SqliteError | undefined {
    return this.#stuck;
  }

  /** A batch that is durable was published in the ring: the thread brings it into the database before long. */
  published(): void {
    Atomics.add(this.#control, this.#slots.bell, 1);
    const much = this.ring.waiting > MUCH_BYTES;
    if (much) Atomics.store(this.#control, RING_URGENT, 1);
    if (much || Atomics.load(this.#control, WRITER_ASLEEP) === 1) Atomics.notify(this.#control, this.#slots.bell);
  }

  /** Resolves when the batch that was published is in the database and durable there. One at a time. */
  applied(): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#batchWaiting = { resolve: resolve as () => void, reject };
      Atomics.store(this.#control, RING_URGENT, 1);
      ring(this.#control, this.#slots);
    });
  }

  ask<T>(method: string, ...args: readonly unknown[]): Promise<T> {
    return this.#ask(method, args, []);
  }

  #ask<T>(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[]): Promise<T> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      this.#send({ id, method, args }, transfer);
    });
  }

  /** A batch that the ring has no room for: durable in the database when it resolves. Its memory goes to the thread. */
  applyLarge(bytes: Buffer<ArrayBuffer>): Promise<void> {
    return this.#ask("writer.applyLarge", [bytes], [bytes.buffer]);
  }

  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    const closed = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#send({ id: -1, method: "close", args: [] }, []);
    await closed;
  }

  #send(request: Request, transfer: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(request, transfer);
    Atomics.add(this.#control, this.#slots.messages, 1);
    ring(this.#control, this.#slots);
  }

  #take(reply: Reply): void {
    if (reply === "moving") {
      this.#stuck = undefined;
      return;
    }
    if (reply !== true && "checkpoint" in reply) {
      this.onCheckpoint(reply.checkpoint);
      return;
    }
    if (reply !== true && "stuck" in reply) {
      this.#stuck = new SqliteError(reply.stuck);
      return;
    }
    if (reply === true || "batch" in reply) {
      const waiting = this.#batchWaiting;
      this.#batchWaiting = undefined;
      if (reply === true) waiting?.resolve(undefined);
      else waiting?.reject(new SqliteError(reply.batch));
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(new SqliteError(reply.error));
    else waiting?.resolve(reply.value);
  }

  #gone(cause: unknown): void {
    this.#lost ??= new StoreLost("the store's thread has ended", { cause });
    this.#batchWaiting?.reject(this.#lost);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#lost);
    this.#waiting.clear();
    this.#batchWaiting = undefined;
  }
}
