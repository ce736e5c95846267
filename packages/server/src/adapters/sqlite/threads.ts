import { HoopishError } from "@hoopish/protocol";
import type { SignedCheckpoint } from "../../evidence/port.ts";
import { StoreLost } from "../../evidence/store.ts";
import type { DatabaseOptions } from "./database.ts";
import { sharedMemory } from "./shared.ts";
import { DatabaseThread } from "./thread.ts";

type Options = Omit<DatabaseOptions, "role">;
type Listener = (checkpoint: SignedCheckpoint) => void;

/**
 * The threads of one store: one writes; one answers auditors, and moves what is written from the WAL into the file. A
 * database in memory has one connection, so the writer does everything.
 */
export class DatabaseThreads {
  /** Hear of each checkpoint when it is signed and durable. */
  readonly checkpointListeners: Set<Listener> = new Set();
  readonly #options: Options;
  readonly #memory: SharedArrayBuffer;
  #writer: DatabaseThread;
  #reader: Promise<DatabaseThread> | undefined;
  #reopening: Promise<DatabaseThread> | undefined;
  #closed = false;
  #signing = false;

  /** @throws HoopishError configuration: the file cannot be opened, or another server uses it */
  static async open(options: Options): Promise<DatabaseThreads> {
    const memory = sharedMemory();
    const threads = new DatabaseThreads(options, memory, await opened({ ...options, role: "writer" }, memory));
    threads.#listen();
    try {
      await threads.reader();
      return threads;
    } catch (error) {
      await threads.close();
      throw error;
    }
  }

  private constructor(options: Options, memory: SharedArrayBuffer, writer: DatabaseThread) {
    this.#options = options;
    this.#memory = memory;
    this.#writer = writer;
  }

  /** Starts it again when its thread has ended: whatever ended it, the file is whole. */
  writer(): Promise<DatabaseThread> {
    if (!this.#writer.lost) return Promise.resolve(this.#writer);
    if (this.#closed) return Promise.reject(closed());
    this.#reopening ??= this.#reopen();
    return this.#reopening;
  }

  /** What is here may be signed now: nothing outside speaks against it. */
  async beginSigning(): Promise<void> {
    this.#signing = true;
    await (await this.writer()).ask("signer.begin");
  }

  /** As it is now; its thread may have ended. */
  get lastWriter(): DatabaseThread {
    return this.#writer;
  }

  /** Starts it when it has not begun, or has ended. */
  reader(): Promise<DatabaseThread> {
    if (this.#options.path === ":memory:") return this.writer();
    if (this.#closed) return Promise.reject(closed());
    if (this.#reader === undefined) {
      const forget = (): void => {
        this.#reader = undefined;
      };
      this.#reader = opened({ ...this.#options, role: "reader" }, this.#memory, forget);
      this.#reader.catch(forget);
    }
    return this.#reader;
  }

  /** The writer last: who closes the database last empties the WAL. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reader?.then(
      (thread) => thread.close(),
      () => undefined,
    );
    await this.#writer.close();
  }

  #listen(): void {
    this.#writer.onCheckpoint = (checkpoint) => {
      for (const listener of this.checkpointListeners) listener(checkpoint);
    };
  }

  async #reopen(): Promise<DatabaseThread> {
    try {
      this.#writer = await opened({ ...this.#options, role: "writer", signing: this.#signing }, this.#memory);
      this.#listen();
      return this.#writer;
    } finally {
      this.#reopening = undefined;
    }
  }
}

const closed = (): StoreLost => new StoreLost("the store is closed");

const HINTS: ReadonlyMap<string, string> = new Map([
  ["HOOPISH_VAULT_KEY", "name the vaultKeyFile with which this store was made"],
  [
    "HOOPISH_INTAKE",
    "see that vaultKeyFile names the key with which this store was made; if it does, keep these files as they are and " +
      "ask for help: they hold records that the database has not",
  ],
  [
    "HOOPISH_LOG",
    "keep this store as evidence, and bring back the newest database that is whole, or the key with which it was signed",
  ],
]);

async function opened(
  options: DatabaseOptions,
  memory: SharedArrayBuffer,
  onEnd?: () => void,
): Promise<DatabaseThread> {
  try {
    return await DatabaseThread.open(options, memory, onEnd);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message?: string };
    if (code === "HOOPISH_LOCKED") {
      throw new HoopishError("configuration", "another hoopish-server uses this store", {
        hint: `stop the other server, or give this one a store of its own (${options.path})`,
        cause,
      });
    }
    const known = code === undefined ? undefined : HINTS.get(code);
    const hint = known === undefined ? {} : { hint: known };
    throw new HoopishError("configuration", `the store ${options.path} cannot be opened: ${message}`, {
      cause,
      ...hint,
    });
  }
}
