import { Worker } from "node:worker_threads";
import { StoreLost } from "../../evidence/store.ts";
import type { DatabaseOptions } from "./database.ts";
import type { Reply, Request, WireError } from "./worker.ts";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Error of SQLite, as the worker told it. */
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

/** One worker with the database open. */
export class DatabaseThread {
  /** Records in the log when it was opened. */
  readonly size: number;
  readonly #worker: Worker;
  readonly #waiting: Map<number, Waiting>;
  #next = 1;

  private constructor(worker: Worker, waiting: Map<number, Waiting>, size: number) {
    this.#worker = worker;
    this.#waiting = waiting;
    this.size = size;
  }

  /** @throws SqliteError when the database cannot be opened */
  static async open(options: DatabaseOptions): Promise<DatabaseThread> {
    // The compiler rewrites imports, not URLs: from source this is worker.ts, from dist worker.js.
    const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: options,
      execArgv: ["--disable-warning=ExperimentalWarning"],
      name: `hoopish-store-${options.role}`,
    });
    const waiting = new Map<number, Waiting>();
    worker.on("message", (reply: Reply) => {
      const asked = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ("error" in reply) asked?.reject(new SqliteError(reply.error));
      else asked?.resolve(reply.value);
    });
    const gone = (cause: unknown): void => {
      for (const asked of waiting.values()) asked.reject(new StoreLost("the store's thread has ended", { cause }));
      waiting.clear();
    };
    worker.on("error", gone);
    worker.on("exit", gone);
    const size = await new Promise((resolve, reject) => waiting.set(0, { resolve, reject }));
    return new DatabaseThread(worker, waiting, size as number);
  }

  ask<T>(method: string, ...args: readonly unknown[]): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, method, args } satisfies Request);
    });
  }

  async close(): Promise<void> {
    await this.ask("close");
    await this.#worker.terminate();
  }
}
