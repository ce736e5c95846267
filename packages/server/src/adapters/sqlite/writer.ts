import type { DatabaseSync, StatementSync } from "node:sqlite";
import { applyAgentChange } from "./agent-changes.ts";
import type { AgentChange } from "./agent-store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { IndexEntry } from "./index-entry.ts";
import { Indexer } from "./indexer.ts";
import { Query } from "./query.ts";
import { applyRetentionChange, isRetentionChange, type RetentionChange } from "./retention/retention-changes.ts";
import { Seal, type SealedFacts } from "./seal.ts";
import { LogTree } from "./tree/log-tree.ts";
import { VaultWriter } from "./vault/vault-writer.ts";
import { type BatchSink, readBatch } from "./wire.ts";

const PROBE_BYTES = 128 * 1024;

/** A packed batch, and its number in the intake; undefined: it never was there. */
export interface NumberedBytes {
  readonly seq: number | undefined;
  readonly bytes: Buffer;
}

/** The one writer of the database. Runs in the store's thread. */
export class Writer {
  readonly tree: LogTree;
  readonly #db: DatabaseSync;
  readonly #query: Query;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insertRecord: StatementSync;
  readonly #setIntake: StatementSync;
  readonly #setSerial: StatementSync;
  readonly #countSync: StatementSync;
  readonly #vault: VaultWriter;
  readonly #seal: Seal;
  readonly #indexer: Indexer;
  readonly #checkpoints: Checkpoints;
  readonly #sink: BatchSink;
  #entries: { readonly index: number; readonly entry: IndexEntry }[] = [];
  /** The newest batch of the intake that is in the database, and the newest that the disk is known to have there. */
  #intake: number;
  #synced: number;
  #serial: number;

  /** @throws Error with code HOOPISH_VAULT_KEY when the vault's key is another, HOOPISH_LOG when the log was changed */
  constructor(db: DatabaseSync, vaultKey: Uint8Array, checkpoints: Checkpoints) {
    this.#db = db;
    const query = new Query(db);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#insertRecord = db.prepare("INSERT INTO records (idx, leaf) VALUES (?, ?)");
    this.#setIntake = db.prepare("UPDATE state SET value = ? WHERE name = 'intake'");
    this.#setSerial = db.prepare("UPDATE state SET value = ? WHERE name = 'serial'");
    this.#countSync = db.prepare("UPDATE state SET value = value + 1 WHERE name = 'syncs'");
    this.#query = query;
    const keep = db.prepare("INSERT INTO subtrees (level, idx, hash) VALUES (?, ?, ?)");
    this.tree = new LogTree((level, index, hash) => keep.run(level, index, hash));
    this.#vault = new VaultWriter(db, vaultKey);
    this.#vault.keys.check();
    const state = (name: string): number =>
      query.get<{ value: number }>("SELECT value FROM state WHERE name = ?", name)?.value as number;
    this.#intake = state("intake");
    // Whoever wrote it may have been killed before the disk had it.
    this.#synced = 0;
    this.#serial = state("serial");
    this.#seal = new Seal(query, db.prepare("UPDATE state SET value = ? WHERE name = 'seal'"), vaultKey);
    this.#load();
    this.#indexer = new Indexer(db);
    this.#checkpoints = checkpoints;
    this.#sink = {
      record: (index, leaf, entry) => {
        if (index !== this.tree.size) throw new Error(`record ${index} does not follow the log`);
        this.#insertRecord.run(index, leaf);
        this.tree.push(leaf);
        this.#entries.push({ index, entry });
      },
      row: (facts, bytes, salt) => this.#vault.add(facts, bytes, salt),
      changes: (changes) => {
        this.#seal.changed();
        for (const change of changes as (AgentChange | RetentionChange)[]) {
          if (isRetentionChange(change)) applyRetentionChange(db, change);
          else applyAgentChange(db, change);
        }
      },
    };
  }

  /** The newest batch of the intake that is in the database, and stays there whatever happens to the machine. */
  get synced(): number {
    return this.#synced;
  }

  get intake(): number {
    return this.#intake;
  }

  /** The intake's newest segment, as far as the database was told; 0: nothing of the intake is needed. */
  get serial(): number {
    return this.#serial;
  }

  /**
   * Writes packed batches in one transaction. `wait`: for the disk; without it, what the intake has is written only to
   * come back from there after a crash. @throws Error of SQLite; nothing of the batches is kept then
   */
  apply(batches: readonly NumberedBytes[], wait: boolean): void {
    const last = batches.findLast(({ seq }) => seq !== undefined)?.seq;
    this.#transaction(wait, () => {
      for (const { bytes } of batches) readBatch(bytes, this.#sink);
      this.#vault.finish();
      if (last !== undefined) this.#setIntake.run(last);
      this.#seal.write({ ...this.#facts(), intake: last ?? this.#intake });
    });
    this.#intake = last ?? this.#intake;
    if (wait) this.#synced = this.#intake;
    for (const { index, entry } of this.#entries) this.#indexer.add(index, entry);
    this.#entries = [];
    for (const { bytes } of batches) this.#checkpoints.committed(bytes.length);
  }

  /** A batch that came in a message, and lost its class on the way. */
  applyLarge(batch: Uint8Array): void {
    this.apply([{ seq: undefined, bytes: Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength) }], true);
  }

  /** @throws Error unless every batch of the intake up to `seq` is in the database for good */
  syncIntake(seq: number): void {
    this.sync();
    if (this.#synced < seq) throw new Error("the database does not take what the intake holds");
  }

  /**
   * Waits until the disk has all that was applied. SQLite waits for the disk only in a transaction that changes a page: a
   * row that is set to what it is already does not.
   */
  sync(): void {
    if (this.#synced === this.#intake) return;
    this.#transaction(true, () => this.#countSync.run());
    this.#synced = this.#intake;
  }

  /**
   * `seq` follows the newest batch, and was refused: if the intake holds it, it is passed over from now on. Durable when it
   * returns. @throws Error when a batch before it is not in the database
   */
  giveUp(seq: number): void {
    if (this.#intake !== seq - 1) throw new Error("the database does not take what the intake holds");
    this.#transaction(true, () => {
      this.#setIntake.run(seq);
      this.#seal.write({ ...this.#facts(), intake: seq });
    });
    this.#intake = seq;
    this.#synced = seq;
  }

  /** From now on the intake's segment of this number is needed for a start; 0: none is. Durable when it returns. */
  setSerial(serial: number): void {
    this.#transaction(true, () => {
      this.#setSerial.run(serial);
      this.#seal.write({ ...this.#facts(), serial });
    });
    this.#serial = serial;
    this.#synced = this.#intake;
  }

  /**
   * A change that is no batch, durable when it returns; with it, all that was applied before. Without `wait` a crash of the
   * machine may take it back.
   */
  change<T>(work: (db: DatabaseSync) => T, wait = true): T {
    let result: T | undefined;
    this.#transaction(wait, () => {
      result = work(this.#db);
    });
    if (wait) this.#synced = this.#intake;
    return result as T;
  }

  /** Keys are to be taken out of use: what is remembered of them is not true any more. */
  forgetKeys(): void {
    this.#vault.keys.forget();
  }

  /** Moves the whole WAL into the database and empties its file. @returns false when a reader holds on to some of it */
  truncateWal(): boolean {
    this.#setDurability(true);
    const { busy } = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
    return busy === 0;
  }

  /** Takes room and gives it back: fails where a record would. */
  probe(): void {
    this.#transaction(true, () =>
      this.#db.exec(`INSERT INTO probe VALUES (zeroblob(${PROBE_BYTES})); DELETE FROM probe`),
    );
  }

  /** Brings the derived tables up to the log, so that a reader finds what is durable. */
  settle(): void {
    this.#indexer.apply();
  }

  /** Between commits, after whoever waited has been answered. An error here is no error of the log: it is tried again. */
  tidy(): void {
    try {
      this.#indexer.apply();
      this.#checkpoints.tidy();
    } catch {
      // The disk is full or broken. The next commit finds out and says so; what was to be done still is.
    }
  }

  /** Whoever changes the file while it is open is noticed here too, before the change is signed with what follows. */
  #load(): void {
    this.tree.load(this.#query, (size, root) =>
      this.#seal.check({ size, root, intake: this.#intake, serial: this.#serial }),
    );
  }

  #facts(): SealedFacts {
    return { size: this.tree.size, root: this.tree.root(), intake: this.#intake, serial: this.#serial };
  }

  #transaction(wait: boolean, work: () => void): void {
    this.#setDurability(wait);
    this.#begin.run();
    try {
      work();
      this.#commit.run();
    } catch (error) {
      this.#entries = [];
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      this.#vault.undo();
      this.#seal.changed();
      this.#load();
      throw error;
    }
  }

  /**
   * The indexer commits without a wait for the disk, and undoes that. Not left to trust: said again before each
   * transaction of records, for a microsecond. (A prepared PRAGMA answers what was true when it was prepared.)
   */
  #setDurability(wait: boolean): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#db.exec(wait ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  }
}
