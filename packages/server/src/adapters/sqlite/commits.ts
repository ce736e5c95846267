import { type Batch, type EvidenceStore, StoreLost } from "../../evidence/store.ts";
import { OpenPayloads } from "./open-payloads.ts";
import type { DatabaseThread } from "./thread.ts";
import { type NumberedBatch, packBatch, packedSize } from "./wire.ts";

const NO_CHANGES: Buffer = Buffer.alloc(0);

/**
 * Numbers a batch and hands it to the writer's thread. The index of the record that decided a call is the key of the
 * call's payload; it is known here before the batch is written, because nobody else writes.
 */
export class Commits implements EvidenceStore {
  readonly #reopen: () => Promise<DatabaseThread>;
  readonly #payloads = new OpenPayloads();
  #thread: DatabaseThread;
  #next: number;
  #unsettled = false;

  constructor(thread: DatabaseThread, reopen: () => Promise<DatabaseThread>) {
    this.#thread = thread;
    this.#reopen = reopen;
    this.#next = thread.size;
  }

  /** The writer's thread as it is now. */
  get thread(): DatabaseThread {
    return this.#thread;
  }

  async commit(batch: Batch): Promise<void> {
    if (this.#thread.lost) await this.#restart();
    const rows = this.#payloads.place(batch, this.#next);
    const changes = batch.changes.length === 0 ? NO_CHANGES : Buffer.from(JSON.stringify(batch.changes));
    try {
      await this.#send({ firstIndex: this.#next, leaves: batch.leaves, rows, changes });
    } catch (error) {
      if (error instanceof StoreLost) this.#payloads.clear();
      else this.#payloads.undo(batch, rows);
      throw error;
    }
    this.#next += batch.leaves.length;
    this.#unsettled = true;
    this.#payloads.written(batch);
  }

  async probe(): Promise<void> {
    if (this.#thread.lost) await this.#restart();
    await this.#thread.ask("writer.probe");
  }

  /** Before a read: what is durable is to be found. */
  async settle(): Promise<void> {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    try {
      await this.#thread.ask("writer.settle");
    } catch (error) {
      this.#unsettled = true;
      throw error;
    }
  }

  /** A thread that has ended is started again: whatever ended it, the file is whole. */
  async #restart(): Promise<void> {
    this.#thread = await this.#reopen();
    this.#next = this.#thread.size;
  }

  #send(batch: NumberedBatch): Promise<void> {
    const { batch: shared } = this.#thread;
    if (packedSize(batch, false) <= shared.length) return this.#thread.commit(packBatch(batch, shared));
    const size = packedSize(batch, true);
    if (size <= shared.length) return this.#thread.commit(packBatch(batch, shared));
    const bytes = Buffer.from(new ArrayBuffer(size));
    return this.#thread.commitLarge(bytes.subarray(0, packBatch(batch, bytes)));
  }
}
