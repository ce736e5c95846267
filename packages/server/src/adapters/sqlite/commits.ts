import { type Batch, type EvidenceStore, StoreLost } from "../../evidence/store.ts";
import { Intake } from "./intake/intake.ts";
import { OpenPayloads } from "./open-payloads.ts";
import { type DatabaseThread, SqliteError } from "./thread.ts";
import type { DatabaseThreads } from "./threads.ts";
import { type NumberedBatch, packBatch, packedSize } from "./wire.ts";

const NO_CHANGES: Buffer = Buffer.alloc(0);

export interface CommitsOptions {
  /** The database's file. Undefined: it is in memory, and so is what waits for it. */
  readonly storePath: string | undefined;
  readonly vaultKey: Uint8Array;
}

/**
 * Numbers a batch, makes it durable in the intake, and leaves it to the writer's thread, which brings it into the
 * database a little later, together with others. The index of the record that decided a call is the key of the call's
 * payload; it is known here before the batch is written, because nobody else writes.
 *
 * A batch with a change waits for the database itself, because the change may be refused there.
 */
export class Commits implements EvidenceStore {
  readonly #threads: DatabaseThreads;
  readonly #options: CommitsOptions;
  readonly #payloads = new OpenPayloads();
  /** The thread that #next counts for, and whose intake this is. */
  #writer: DatabaseThread;
  #intake: Intake | undefined;
  #next: number;
  #unsettled = false;
  #last: Promise<unknown> = Promise.resolve();

  static async open(threads: DatabaseThreads, options: CommitsOptions): Promise<Commits> {
    const commits = new Commits(threads, options);
    await commits.#openIntake();
    return commits;
  }

  private constructor(threads: DatabaseThreads, options: CommitsOptions) {
    this.#threads = threads;
    this.#options = options;
    this.#writer = threads.lastWriter;
    this.#next = this.#writer.opened.size;
  }

  commit(batch: Batch): Promise<number> {
    return this.#inTurn(() => this.#commit(batch));
  }

  /**
   * The intake forgets what it holds, all of which is in the database then: payloads that were destroyed there must not be
   * readable here. @throws StoreLost when the disk failed
   */
  async renewIntake(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#writer.lost) await this.#findWriter();
      await this.#intake?.renew();
    });
  }

  async #commit(batch: Batch): Promise<number> {
    if (this.#writer.lost) await this.#findWriter();
    // What is durable cannot come into the database now: no more is taken until it can.
    if (this.#writer.stuck !== undefined) throw this.#writer.stuck;
    const rows = this.#payloads.place(batch, this.#next);
    const changes = batch.changes.length === 0 ? NO_CHANGES : Buffer.from(JSON.stringify(batch.changes));
    try {
      await this.#send({ firstIndex: this.#next, leaves: batch.leaves, rows, changes });
    } catch (error) {
      if (error instanceof StoreLost) this.#payloads.clear();
      else this.#payloads.undo(batch);
      throw error;
    }
    const first = this.#next;
    this.#next += batch.leaves.length;
    this.#unsettled = true;
    this.#payloads.written(batch);
    return first;
  }

  async probe(): Promise<void> {
    const writer = await this.#threads.writer();
    await writer.ask("writer.probe");
    if (writer.stuck !== undefined) throw writer.stuck;
  }

  /**
   * Before a read: what is durable is to be found. While the database takes nothing, a read finds what it took before:
   * whoever looks into a full disk needs to see what is there.
   */
  async settle(): Promise<void> {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    try {
      await (await this.#threads.writer()).ask("writer.settle");
    } catch (error) {
      this.#unsettled = true;
      if (!(error instanceof SqliteError)) throw error;
    }
  }

  /** After the last commit. */
  close(): void {
    this.#intake?.close();
    this.#intake = undefined;
  }

  /** The intake takes one thing at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #findWriter(): Promise<void> {
    this.#writer = await this.#threads.writer();
    this.#next = this.#writer.opened.size;
    await this.#openIntake();
  }

  async #openIntake(): Promise<void> {
    const { storePath, vaultKey } = this.#options;
    this.close();
    if (storePath === undefined) return;
    const writer = this.#writer;
    const { lastSeq, lastSerial } = writer.opened.intake;
    const settled = (seq: number): Promise<void> => writer.ask("writer.syncIntake", seq);
    this.#intake = await Intake.open({ storePath, vaultKey, lastSeq, lastSerial, settled });
  }

  async #send(batch: NumberedBatch): Promise<void> {
    const writer = this.#writer;
    const { ring } = writer;
    const quick = packedSize(batch, false);
    const size = quick <= ring.maxBytes ? quick : packedSize(batch, true);
    if (size > ring.maxBytes) {
      const bytes = Buffer.from(new ArrayBuffer(size));
      await writer.applyLarge(bytes.subarray(0, packBatch(batch, bytes)));
      return;
    }
    const place = ring.place(size) ?? (await this.#room(writer, size));
    const length = packBatch(batch, place);
    if (batch.changes.length > 0) {
      ring.publish(length, 0, true);
      await writer.applied();
      return;
    }
    const seq = (await this.#intake?.append(place.subarray(0, length))) ?? 0;
    // Its successor has looked at the intake already, and may have found the batch there or not.
    if (writer.lost) throw new StoreLost("the store's thread has ended");
    ring.publish(length, seq, false);
    writer.published();
  }

  /** The ring is full: everything in it goes into the database first. */
  async #room(writer: DatabaseThread, size: number): Promise<Buffer> {
    await writer.ask("writer.settle");
    const place = writer.ring.place(size);
    if (place === undefined) throw writer.stuck ?? new Error("the database does not keep up");
    return place;
  }
}
