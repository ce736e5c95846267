import { ed25519Signer, HoopishError, type NoteSigner, parseLogKey } from "@hoopish/protocol";
import type { LogTree, SignedCheckpoint } from "../../evidence/port.ts";
import type { LogKeys } from "./database.ts";
import type { DatabaseThreads } from "./threads.ts";

/** The log's tree, as the store's threads know it. */
export class SignedTree implements LogTree {
  readonly origin: string;
  readonly vkey: string;
  readonly signer: NoteSigner;
  readonly #threads: DatabaseThreads;
  #newest: SignedCheckpoint;

  constructor(threads: DatabaseThreads, keys: LogKeys) {
    this.origin = keys.origin;
    this.signer = ed25519Signer(keys.origin, parseLogKey(keys.privateKey));
    this.vkey = this.signer.vkey;
    this.#threads = threads;
    this.#newest = threads.lastWriter.opened.checkpoint;
    this.onSigned((checkpoint) => {
      this.#newest = checkpoint;
    });
  }

  newest(): SignedCheckpoint {
    return this.#newest;
  }

  async sign(): Promise<SignedCheckpoint> {
    try {
      return await (await this.#threads.writer()).ask<SignedCheckpoint>("signer.sign");
    } catch (cause) {
      throw new HoopishError("evidence_unavailable", "the log cannot be signed now", { cause });
    }
  }

  async signAt(size: number): Promise<SignedCheckpoint> {
    try {
      return await (await this.#threads.writer()).ask<SignedCheckpoint>("signer.signAt", size);
    } catch (cause) {
      throw new HoopishError("evidence_unavailable", "the log cannot be signed now", { cause });
    }
  }

  signedBefore(timeMs: number): Promise<SignedCheckpoint | undefined> {
    return this.#ask("signedBefore", timeMs);
  }

  async *history(from: number, to: number): AsyncGenerator<SignedCheckpoint> {
    for (let next = from; ; ) {
      const some = await this.#ask<readonly SignedCheckpoint[]>("checkpoints", next, to);
      yield* some;
      const last = some.at(-1);
      if (last === undefined) return;
      next = last.size + 1;
    }
  }

  onSigned(listener: (checkpoint: SignedCheckpoint) => void): void {
    this.#threads.checkpointListeners.add(listener);
  }

  inclusion(index: number, size: number): Promise<readonly Uint8Array[]> {
    this.#within(index, size - 1, size);
    return this.#ask("inclusion", index, size);
  }

  consistency(size1: number, size2: number): Promise<readonly Uint8Array[]> {
    this.#within(size1, size2, size2);
    return this.#ask("consistency", size1, size2);
  }

  root(size: number): Promise<Uint8Array> {
    this.#within(0, size, size);
    return this.#ask("root", size);
  }

  edge(size: number): Promise<readonly Uint8Array[]> {
    this.#within(0, size, size);
    return this.#ask("edge", size);
  }

  /** Only what was signed is proven: what is newer may still be waiting for the database. @throws HoopishError bad_request */
  #within(low: number, high: number, size: number): void {
    const whole = [low, high, size].every((number) => Number.isSafeInteger(number));
    if (!whole || low < 0 || low > high || size > this.#newest.size) {
      throw new HoopishError("bad_request", `the signed log has ${this.#newest.size} records`);
    }
  }

  async #ask<T>(method: string, ...args: readonly number[]): Promise<T> {
    return (await this.#threads.reader()).ask<T>(`reader.${method}`, ...args);
  }
}
