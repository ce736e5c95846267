import type { DatabaseSync, StatementSync } from "node:sqlite";
import { applyAgentChange } from "./agent-changes.ts";
import type { AgentChange } from "./agent-store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { IndexEntry } from "./index-entry.ts";
import { Indexer } from "./indexer.ts";
import { payloadKey } from "./keys.ts";
import { type BatchSink, readBatch } from "./wire.ts";

/** Records that the derived tables may be behind while commits come one after another. */
const MAX_BEHIND = 256;

const PROBE_BYTES = 128 * 1024;

/** The one writer of the database. Runs in the store's thread. */
export class Writer {
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insertRecord: StatementSync;
  readonly #insertPayload: StatementSync;
  readonly #indexer: Indexer;
  readonly #checkpoints: Checkpoints;
  readonly #sink: BatchSink;
  #next: number;
  #entries: { readonly index: number; readonly entry: IndexEntry }[] = [];

  constructor(db: DatabaseSync, checkpoints: Checkpoints) {
    this.#db = db;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#insertRecord = db.prepare("INSERT INTO records (idx, leaf) VALUES (?, ?)");
    this.#insertPayload = db.prepare("INSERT INTO payloads (key, bytes, salt) VALUES (?, ?, ?)");
    this.#indexer = new Indexer(db);
    this.#checkpoints = checkpoints;
    this.#next = (db.prepare("SELECT coalesce(max(idx) + 1, 0) AS next FROM records").get() as { next: number }).next;
    this.#sink = {
      record: (index, leaf, entry) => {
        if (index !== this.#next + this.#entries.length) throw new Error(`record ${index} does not follow the log`);
        this.#insertRecord.run(index, leaf);
        this.#entries.push({ index, entry });
      },
      row: (callKey, field, seq, bytes, salt) => {
        this.#insertPayload.run(payloadKey(callKey, field, seq), bytes, salt ?? null);
      },
      changes: (changes) => {
        for (const change of changes) applyAgentChange(db, change as AgentChange);
      },
    };
  }

  /** Writes a packed batch and waits for the disk. @throws Error of SQLite; nothing of the batch is kept then */
  commit(batch: Buffer): void {
    this.#transaction(() => readBatch(batch, this.#sink));
    this.#next += this.#entries.length;
    for (const { index, entry } of this.#entries) this.#indexer.add(index, entry);
    this.#entries = [];
    this.#checkpoints.committed(batch.length);
  }

  /** A batch that came in a message, and lost its class on the way. */
  commitLarge(batch: Uint8Array): void {
    this.commit(Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength));
  }

  /** Takes room and gives it back: fails where a record would. */
  probe(): void {
    this.#transaction(() => this.#db.exec(`INSERT INTO probe VALUES (zeroblob(${PROBE_BYTES})); DELETE FROM probe`));
  }

  /** Brings the derived tables up to the log, so that a reader finds what is durable. */
  settle(): void {
    this.#indexer.apply();
  }

  /** There is something to do when nobody waits for a commit. */
  get waiting(): boolean {
    return this.#indexer.behind > 0;
  }

  /** Between commits, after whoever waited has been answered. An error here is no error of the log: it is tried again. */
  tidy(idle: boolean): void {
    try {
      if (this.#indexer.behind >= MAX_BEHIND || idle) this.#indexer.apply();
      this.#checkpoints.tidy();
    } catch {
      // The disk is full or broken. The next commit finds out and says so; what was to be done still is.
    }
  }

  #transaction(work: () => void): void {
    this.#beDurable();
    this.#begin.run();
    try {
      work();
      this.#commit.run();
    } catch (error) {
      this.#entries = [];
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /**
   * The indexer commits without a wait for the disk, and undoes that. Not left to trust: said again before each
   * transaction of records, for a microsecond. (A prepared PRAGMA answers what was true when it was prepared.)
   */
  #beDurable(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#db.exec("PRAGMA synchronous = FULL");
  }
}
