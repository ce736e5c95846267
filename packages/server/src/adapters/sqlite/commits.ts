import { type Batch, type EvidenceStore, StoreLost } from "../../evidence/store.ts";
import { OpenPayloads } from "./open-payloads.ts";
import type { DatabaseThread } from "./thread.ts";
import type { DatabaseThreads } from "./threads.ts";
import { type NumberedBatch, packBatch, packedSize } from "./wire.ts";

const NO_CHANGES: Buffer = Buffer.alloc(0);

/**
 * Numbers a batch and hands it to the writer's thread. The index of the record that decided a call is the key of the
 * call's payload; it is known here before the batch is written, because nobody else writes.
 */
export class Commits implements EvidenceStore {
  readonly #threads: DatabaseThreads;
  readonly #payloads = new OpenPayloads();
  /** The thread that #next counts for. */
  #writer: DatabaseThread;
  #next: number;
  #unsettled = false;

  constructor(threads: DatabaseThreads) {
    this.#threads = threads;
    this.#writer = threads.lastWriter;
    this.#next = this.#writer.size;
  }

  async commit(batch: Batch): Promise<void> {
    if (this.#writer.lost) await this.#findWriter();
    const rows = this.#payloads.place(batch, this.#next);
    const changes = batch.changes.length === 0 ? NO_CHANGES : Buffer.from(JSON.stringify(batch.changes));
    try {
      await this.#send({ firstIndex: this.#next, leaves: batch.leaves, rows, changes });
    } catch (error) {
      if (error instanceof StoreLost) this.#payloads.clear();
      else this.#payloads.undo(batch);
      throw error;
    }
    this.#next += batch.leaves.length;
    this.#unsettled = true;
    this.#payloads.written(batch);
  }

  async probe(): Promise<void> {
    await (await this.#threads.writer()).ask("writer.probe");
  }

  /** Before a read: what is durable is to be found. */
  async settle(): Promise<void> {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    try {
      await (await this.#threads.writer()).ask("writer.settle");
    } catch (error) {
      this.#unsettled = true;
      throw error;
    }
  }

  async #findWriter(): Promise<void> {
    this.#writer = await this.#threads.writer();
    this.#next = this.#writer.size;
  }

  #send(batch: NumberedBatch): Promise<void> {
    const writer = this.#writer;
    const shared = writer.batch;
    if (packedSize(batch, false) <= shared.length) return writer.commit(packBatch(batch, shared));
    const size = packedSize(batch, true);
    if (size <= shared.length) return writer.commit(packBatch(batch, shared));
    const bytes = Buffer.from(new ArrayBuffer(size));
    return writer.commitLarge(bytes.subarray(0, packBatch(batch, bytes)));
  }
}
