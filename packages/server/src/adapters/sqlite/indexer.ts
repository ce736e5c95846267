import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RecordDraft, StoredRecord } from "@hoopish/protocol";
import { ANSWERED, CLOSED, DECIDED, INTERRUPTED, type IndexEntry, indexEntry, OPENED, PURGED } from "./index-entry.ts";
import { monthOf, retentionNumber } from "./keys.ts";
import { BLOCK_RECORDS } from "./search/time-blocks.ts";
import { Series } from "./series.ts";

interface Pending {
  readonly index: number;
  readonly entry: IndexEntry;
  /** DECIDED: the record that ended the call, when it came before this was written. */
  ended: number | null;
}

const CATCH_UP_RECORDS = 4096;

/**
 * Keeps the tables that are derived from the records. They follow the log in transactions of their own, many records at a
 * time and without a wait for the disk: after a crash, what they miss is read from the log again. So a commit of records
 * writes few pages, and an error here cannot keep anything out of the log.
 */
export class Indexer {
  readonly #db: DatabaseSync;
  readonly #leafOf: (index: number) => Uint8Array;
  readonly #insertCall: StatementSync;
  readonly #endCall: StatementSync;
  readonly #insertSession: StatementSync;
  readonly #closeSession: StatementSync;
  readonly #mention: StatementSync;
  readonly #insertEvent: StatementSync;
  readonly #insertBlock: StatementSync;
  readonly #setIndexed: StatementSync;
  readonly #series: Series;
  #pending: Pending[] = [];
  /** Calls whose DECIDED is pending, by id. */
  #undecided = new Map<string, Pending>();
  #earliest = Number.POSITIVE_INFINITY;
  #latest = Number.NEGATIVE_INFINITY;

  /** @param leafOf the record at an index; this database's own, where nothing else is said */
  constructor(db: DatabaseSync, leafOf: (index: number) => Uint8Array = leavesOf(db)) {
    this.#db = db;
    this.#leafOf = leafOf;
    this.#insertCall = db.prepare(
      "INSERT OR IGNORE INTO calls (key, id, time, series, session, verdict, ended) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#endCall = db.prepare("UPDATE calls SET ended = ? WHERE id = ?");
    this.#insertSession = db.prepare("INSERT OR IGNORE INTO sessions (key, id, user) VALUES (?, ?, ?)");
    this.#closeSession = db.prepare("UPDATE sessions SET closed = ? WHERE id = ?");
    this.#mention = db.prepare("INSERT OR IGNORE INTO mentions (call, idx) VALUES (?, ?)");
    this.#insertEvent = db.prepare("INSERT OR IGNORE INTO events (series, idx, time) VALUES (?, ?, ?)");
    this.#insertBlock = db.prepare("INSERT OR IGNORE INTO blocks (block, earliest, latest) VALUES (?, ?, ?)");
    this.#setIndexed = db.prepare("UPDATE state SET value = ? WHERE name = 'indexed'");
    this.#series = new Series(db);
    this.#catchUp();
  }

  /** Records that the tables do not show yet. */
  get behind(): number {
    return this.#pending.length;
  }

  /** The record at `index` is durable; indexes come without a gap. */
  add(index: number, entry: IndexEntry): void {
    const pending: Pending = { index, entry, ended: null };
    if (entry.type === DECIDED) this.#undecided.set(entry.call, pending);
    else if (entry.type === ANSWERED || entry.type === INTERRUPTED) {
      const decided = this.#undecided.get(entry.call);
      if (decided !== undefined) decided.ended = index;
    }
    this.#pending.push(pending);
  }

  /** Brings the tables up to the log. @throws Error of SQLite; what was pending still is */
  apply(): void {
    const last = this.#pending.at(-1);
    if (last === undefined) return;
    const { earliest, latest } = { earliest: this.#earliest, latest: this.#latest };
    try {
      this.#db.exec("PRAGMA synchronous = NORMAL");
      this.#db.exec("BEGIN IMMEDIATE");
      for (const pending of this.#pending) {
        this.#write(pending);
        this.#widen(pending.index, pending.entry.timeMs);
      }
      this.#setIndexed.run(last.index + 1);
      this.#db.exec("COMMIT");
      this.#pending = [];
      this.#undecided = new Map();
    } catch (error) {
      this.#earliest = earliest;
      this.#latest = latest;
      this.#series.forget();
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #write({ index, entry, ended }: Pending): void {
    switch (entry.type) {
      case DECIDED: {
        const series = this.#series.ofCalls(entry.user, entry.connection, entry.verdict);
        const session = bytes(entry.session);
        this.#insertCall.run(index, bytes(entry.call), entry.timeMs, series, session, entry.verdict, ended);
        return;
      }
      case ANSWERED:
        this.#end(index, entry);
        return;
      case INTERRUPTED:
        this.#end(index, entry);
        break;
      case OPENED:
        this.#insertSession.run(index, bytes(entry.session), this.#series.name(entry.user));
        break;
      case CLOSED:
        this.#closeSession.run(index, bytes(entry.session));
        break;
      case PURGED:
        this.#writePurge(index);
        break;
      default:
        if (entry.call !== "") this.#mention.run(bytes(entry.call), index);
    }
    this.#insertEvent.run(this.#series.ofEvents(entry.type, entry.user, entry.connection), index, entry.timeMs);
    if (entry.session !== "") this.#mention.run(bytes(entry.session), index);
  }

  #end(index: number, { call }: IndexEntry): void {
    if (!this.#undecided.has(call)) this.#endCall.run(index, bytes(call));
  }

  #writePurge(index: number): void {
    const purged = JSON.parse(Buffer.from(this.#leafOf(index)).toString()) as RecordDraft<"retention.purged">;
    this.#db
      .prepare("INSERT OR IGNORE INTO purges (idx, retention, month) VALUES (?, ?, ?)")
      .run(index, retentionNumber(purged.class), monthOf(Date.parse(purged.from)));
  }

  #widen(index: number, timeMs: number): void {
    this.#earliest = Math.min(this.#earliest, timeMs);
    this.#latest = Math.max(this.#latest, timeMs);
    if ((index + 1) % BLOCK_RECORDS !== 0) return;
    this.#insertBlock.run((index + 1) / BLOCK_RECORDS - 1, this.#earliest, this.#latest);
    this.#earliest = Number.POSITIVE_INFINITY;
    this.#latest = Number.NEGATIVE_INFINITY;
  }

  /** Reads from the log what the tables miss, and the times of the block that is not complete. */
  #catchUp(): void {
    const { value: indexed } = this.#db.prepare("SELECT value FROM state WHERE name = 'indexed'").get() as {
      value: number;
    };
    const select = this.#db.prepare("SELECT idx, leaf FROM records WHERE idx >= ? ORDER BY idx LIMIT ?");
    let next = indexed - (indexed % BLOCK_RECORDS);
    for (;;) {
      const rows = select.all(next, CATCH_UP_RECORDS) as unknown as { idx: number; leaf: Uint8Array }[];
      for (const { idx, leaf } of rows) {
        const record = JSON.parse(Buffer.from(leaf).toString()) as StoredRecord;
        const entry = indexEntry(record, Date.parse(record.time));
        if (idx < indexed) this.#widen(idx, entry.timeMs);
        else this.add(idx, entry);
        next = idx + 1;
      }
      this.apply();
      if (rows.length < CATCH_UP_RECORDS) return;
    }
  }
}

const leavesOf =
  (db: DatabaseSync) =>
  (index: number): Uint8Array =>
    (db.prepare("SELECT leaf FROM records WHERE idx = ?").get(index) as { leaf: Uint8Array }).leaf;

const bytes = (uuid: string): Buffer => Buffer.from(uuid, "hex");
