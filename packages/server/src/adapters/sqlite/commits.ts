import { type Batch, type EvidenceStore, StoreLost } from "../../evidence/store.ts";
import { Intake } from "./intake/intake.ts";
import { OpenPayloads } from "./open-payloads.ts";
import { type DatabaseThread, SqliteError } from "./thread.ts";
import type { DatabaseThreads } from "./threads.ts";
import { type NumberedBatch, packBatch, packedSize } from "./wire.ts";

const NO_CHANGES: Buffer = Buffer.alloc(0);

/** `doubtful`: what follows the last batch is not known to be nothing. `none`: the database is in memory. */
type IntakeState =
  | { readonly kind: "none" | "closed" }
  | { readonly kind: "open"; readonly intake: Intake; readonly storePath: string }
  | Doubtful;

interface Doubtful {
  readonly kind: "doubtful";
  readonly storePath: string;
  readonly lastSeq: number;
  readonly lastSerial: number;
}

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
  #intake: IntakeState;
  #next: number;
  #unsettled = false;
  #settling: Promise<void> = Promise.resolve();
  #last: Promise<unknown> = Promise.resolve();

  static async open(threads: DatabaseThreads, options: CommitsOptions): Promise<Commits> {
    const commits = new Commits(threads, options);
    await commits.#ready();
    return commits;
  }

  private constructor(threads: DatabaseThreads, options: CommitsOptions) {
    this.#threads = threads;
    this.#options = options;
    this.#writer = threads.lastWriter;
    this.#next = this.#writer.opened.size;
    this.#intake = this.#afterRecovery();
  }

  commit(batch: Batch): Promise<number> {
    return this.#inTurn(() => this.#commit(batch));
  }

  /**
   * The intake forgets what it holds, all of which is in the database then: payloads that were destroyed there must not be
   * readable here. @throws StoreLost when the disk failed
   */
  renewIntake(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#ready();
      await this.#withIntake((intake) => intake.renew());
    });
  }

  async #commit(batch: Batch): Promise<number> {
    await this.#ready();
    const rows = this.#payloads.place(batch, this.#next);
    const changes = batch.changes.length === 0 ? NO_CHANGES : Buffer.from(JSON.stringify(batch.changes));
    try {
      await this.#send({ firstIndex: this.#next, leaves: batch.leaves, rows, changes }, batch.quiet);
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

  probe(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#ready();
      await this.#writer.ask("writer.probe");
      if (this.#writer.stuck !== undefined) throw this.#writer.stuck;
    });
  }

  /**
   * Before a read: what is durable is to be found. While the database takes nothing, a read finds what it took before:
   * whoever looks into a full disk needs to see what is there.
   */
  settle(): Promise<void> {
    if (this.#unsettled) {
      this.#unsettled = false;
      this.#settling = this.#settle();
    }
    // Also for a read that comes while another's settling is under way: what it asks about may be in that.
    return this.#settling;
  }

  async #settle(): Promise<void> {
    try {
      await (await this.#threads.writer()).ask("writer.settle");
    } catch (error) {
      this.#unsettled = true;
      if (!(error instanceof SqliteError)) throw error;
    }
  }

  /** After the last commit. */
  close(): void {
    if (this.#intake.kind === "open") this.#intake.intake.close();
    this.#intake = { kind: "closed" };
  }

  /** The intake takes one thing at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** A writer that lives and is not stuck, and an intake that takes batches. @throws Error; nothing was written then */
  async #ready(): Promise<void> {
    if (this.#writer.lost) {
      this.close();
      this.#writer = await this.#threads.writer();
      this.#next = this.#writer.opened.size;
      this.#intake = this.#afterRecovery();
    }
    // What is durable cannot come into the database now: no more is taken until it can.
    if (this.#writer.stuck !== undefined) throw this.#writer.stuck;
    if (this.#intake.kind !== "doubtful") return;
    try {
      await this.#openIntake(this.#intake);
    } catch (cause) {
      throw new Error("the intake cannot be opened", { cause });
    }
  }

  #afterRecovery(): IntakeState {
    return this.#options.storePath === undefined
      ? { kind: "none" }
      : { ...this.#writer.opened.intake, kind: "doubtful", storePath: this.#options.storePath };
  }

  /**
   * Under the number after the last, an append that failed may have left a whole batch: it was refused, so a later start
   * must not bring it into the log. The database says so before anything else is written, and is durable then.
   */
  async #openIntake({ storePath, lastSeq, lastSerial }: Doubtful): Promise<void> {
    const { vaultKey } = this.#options;
    const writer = this.#writer;
    const settled = (seq: number): Promise<void> => writer.ask("writer.syncIntake", seq);
    const begun = (serial: number): Promise<void> => writer.ask("writer.setSerial", serial);
    await writer.ask("writer.giveUp", lastSeq + 1);
    this.#intake = { kind: "doubtful", storePath, lastSeq: lastSeq + 1, lastSerial };
    const intake = await Intake.open({ storePath, vaultKey, lastSeq: lastSeq + 1, lastSerial, settled, begun });
    this.#intake = { kind: "open", intake, storePath };
  }

  /** Undefined: there is none. An intake whose disk failed is opened again before anything else is written. */
  async #withIntake<T>(use: (intake: Intake) => Promise<T>): Promise<T | undefined> {
    const state = this.#intake;
    if (state.kind === "none") return undefined;
    if (state.kind !== "open") throw new Error("the intake is not open");
    const { intake, storePath } = state;
    try {
      return await use(intake);
    } catch (error) {
      if (error instanceof StoreLost) {
        intake.close();
        this.#intake = { kind: "doubtful", storePath, lastSeq: intake.seq, lastSerial: intake.serial };
      }
      throw error;
    }
  }

  async #send(batch: NumberedBatch, quiet: boolean): Promise<void> {
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
      // Behind a batch that the database does not take, it would wait for as long, and everybody behind it.
      if (!ring.empty) await this.#settled(writer);
      ring.publish(length, 0, true);
      await writer.applied();
      return;
    }
    const batchBytes = place.subarray(0, length);
    const seq = (await this.#withIntake((intake) => intake.append(batchBytes, quiet))) ?? 0;
    // Its successor has looked at the intake already, and may have found the batch there or not.
    if (writer.lost) throw new StoreLost("the store's thread has ended");
    ring.publish(length, seq, false);
    writer.published();
  }

  /** Everything in the ring goes into the database first. @throws Error when it does not */
  async #settled(writer: DatabaseThread): Promise<void> {
    await writer.ask("writer.settle");
    if (writer.stuck !== undefined) throw writer.stuck;
  }

  /** The ring is full. */
  async #room(writer: DatabaseThread, size: number): Promise<Buffer> {
    await this.#settled(writer);
    const place = writer.ring.place(size);
    if (place === undefined) throw new Error("the database does not keep up");
    return place;
  }
}
