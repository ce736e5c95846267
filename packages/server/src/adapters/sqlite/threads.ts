import { HoopishError } from "@hoopish/protocol";
import type { DatabaseOptions } from "./database.ts";
import { DatabaseThread } from "./thread.ts";

/**
 * The threads of one store: one writes, one moves what is written from the WAL into the file, and one, started when
 * somebody asks, answers auditors. A database in memory has one connection, so the writer answers too.
 */
export class DatabaseThreads {
  readonly #options: Omit<DatabaseOptions, "role">;
  #writer: DatabaseThread;
  #checkpointer: DatabaseThread | undefined;
  #reader: Promise<DatabaseThread> | undefined;

  /** @throws HoopishError configuration: the file cannot be opened, or another server uses it */
  static async open(options: Omit<DatabaseOptions, "role">): Promise<DatabaseThreads> {
    const threads = new DatabaseThreads(options, await opened({ ...options, role: "writer" }));
    await threads.#startCheckpointer();
    return threads;
  }

  private constructor(options: Omit<DatabaseOptions, "role">, writer: DatabaseThread) {
    this.#options = options;
    this.#writer = writer;
  }

  /** As it is now; it may be `lost`. */
  get writer(): DatabaseThread {
    return this.#writer;
  }

  /** Starts the writer again when its thread has ended: whatever ended it, the file is whole. */
  async reopenWriter(): Promise<DatabaseThread> {
    await this.#checkpointer?.close();
    this.#writer = await opened({ ...this.#options, role: "writer" });
    await this.#startCheckpointer();
    return this.#writer;
  }

  async reader(): Promise<DatabaseThread> {
    if (this.#inMemory) return this.#writer;
    this.#reader ??= opened({ ...this.#options, role: "reader" });
    const thread = await this.#reader.catch((error: unknown) => {
      this.#reader = undefined;
      throw error;
    });
    if (thread.lost) this.#reader = undefined;
    return thread;
  }

  /** The writer last: who closes the database last empties the WAL. */
  async close(): Promise<void> {
    await this.#reader?.then(
      (thread) => thread.close(),
      () => undefined,
    );
    await this.#checkpointer?.close();
    await this.#writer.close();
  }

  get #inMemory(): boolean {
    return this.#options.path === ":memory:";
  }

  async #startCheckpointer(): Promise<void> {
    if (this.#inMemory) return;
    this.#checkpointer = await opened({ ...this.#options, role: "checkpointer" }, this.#writer.memory);
  }
}

async function opened(options: DatabaseOptions, memory?: SharedArrayBuffer): Promise<DatabaseThread> {
  try {
    return await DatabaseThread.open(options, memory);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message?: string };
    if (code === "HOOPISH_LOCKED") {
      throw new HoopishError("configuration", "another hoopish-server uses this store", {
        hint: `stop the other server, or give this one a store of its own (${options.path})`,
        cause,
      });
    }
    throw new HoopishError("configuration", `the store ${options.path} cannot be opened: ${message}`, { cause });
  }
}
