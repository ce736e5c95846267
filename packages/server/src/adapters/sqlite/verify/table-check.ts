import type { RecordDraft, StoredRecord } from "@hoopish/protocol";
import { ANSWERED, CLOSED, DECIDED, INTERRUPTED, type IndexEntry, indexEntry, OPENED, PURGED } from "../index-entry.ts";
import { monthOf, retentionNumber } from "../keys.ts";
import type { Query } from "../query.ts";
import { BLOCK_RECORDS } from "../search/time-blocks.ts";
import type { Finding } from "./log-check.ts";

/** A row of `calls` or `sessions`, with its names. */
interface Row {
  readonly key: number;
  readonly id: Uint8Array;
  /** The record that ended it. */
  readonly ended: number | null;
  readonly user: string;
  readonly time?: number;
  readonly session?: Uint8Array;
  readonly connection?: string;
  readonly verdict?: number;
}

const CALLS = `SELECT calls.key AS key, id, time, session, calls.verdict AS verdict, ended, u.name AS user, c.name AS connection
  FROM calls LEFT JOIN series AS s ON s.key = calls.series AND s.verdict = calls.verdict
  LEFT JOIN names AS u ON u.key = s.user LEFT JOIN names AS c ON c.key = s.connection
  WHERE calls.key >= ? ORDER BY calls.key LIMIT 1000`;
const SESSIONS = `SELECT sessions.key AS key, id, closed AS ended, u.name AS user
  FROM sessions LEFT JOIN names AS u ON u.key = sessions.user WHERE sessions.key >= ? ORDER BY sessions.key LIMIT 1000`;

const EVENT = `SELECT 1 FROM event_series AS s JOIN names AS u ON u.key = s.user JOIN names AS c ON c.key = s.connection
  JOIN events AS e ON e.series = s.key
  WHERE s.type = ? AND u.name = ? AND c.name = ? AND e.idx = ? AND e.time = ?`;

const MOST_FINDINGS = 20;

/**
 * Compares the derived tables, which auditors search, with the records that they were derived from: a row that was
 * deleted or changed hides a call from a search, and nothing else would say so.
 */
export class TableCheck {
  readonly findings: Finding[] = [];
  readonly #query: Query;
  readonly #size: number;
  /** Records that the tables show. */
  readonly #indexed: number;
  readonly #calls: Rows;
  readonly #sessions: Rows;
  #mentions = 0;
  #purges = 0;
  #events = 0;
  #earliest = Number.POSITIVE_INFINITY;
  #latest = Number.NEGATIVE_INFINITY;

  constructor(query: Query, size: number, indexed: number) {
    this.#query = query;
    this.#size = size;
    this.#indexed = indexed;
    this.#calls = new Rows(query, CALLS);
    this.#sessions = new Rows(query, SESSIONS);
    if (indexed > size) this.#add(`the tables say that they show ${indexed} records of ${size}`);
  }

  record(index: number, leaf: Uint8Array): void {
    if (this.findings.length >= MOST_FINDINGS) return;
    const record = JSON.parse(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString()) as StoredRecord;
    const entry = indexEntry(record, Date.parse(record.time));
    switch (entry.type) {
      case DECIDED:
        this.#began("call", this.#calls, index, entry, entry.call);
        break;
      case OPENED:
        this.#began("session", this.#sessions, index, entry, entry.session);
        break;
      case ANSWERED:
      case INTERRUPTED:
        this.#ended("call", this.#calls, index, entry.call);
        break;
      case CLOSED:
        this.#ended("session", this.#sessions, index, entry.session);
        break;
      default:
        if (entry.call !== "") this.#mentioned(index, entry.call);
    }
    if (entry.type === PURGED) this.#purged(index, record as RecordDraft<"retention.purged">);
    if (entry.type !== DECIDED && entry.type !== ANSWERED) this.#event(index, entry);
    this.#timed(index, entry.timeMs);
  }

  /** After the last record. */
  end(): void {
    for (const [what, rows] of [
      ["call", this.#calls],
      ["session", this.#sessions],
    ] as const) {
      for (const [id, ended] of rows.open) {
        if (ended !== null && ended < this.#size) this.#add(`record ${ended} does not end the ${what} ${id}`);
      }
      const more = rows.peek(this.#indexed);
      if (more !== undefined && more.key < this.#indexed) this.#add(`no record began the ${what} of row ${more.key}`);
    }
    const mentions = this.#count("mentions");
    if (mentions !== this.#mentions)
      this.#add(`the tables mention ${mentions} records of calls and sessions, there are ${this.#mentions}`);
    const events = this.#count("events");
    if (events !== this.#events) this.#add(`the tables show ${events} events, there are ${this.#events}`);
    const purges = this.#count("purges");
    if (purges !== this.#purges) this.#add(`the tables show ${purges} purges, there are ${this.#purges}`);
  }

  #count(table: "mentions" | "events" | "purges"): number {
    const sql = `SELECT count(*) AS count FROM ${table} WHERE idx < ?`;
    return this.#query.get<{ count: number }>(sql, this.#indexed)?.count ?? 0;
  }

  #began(what: string, rows: Rows, index: number, entry: IndexEntry, id: string): void {
    if (index >= this.#indexed) return;
    for (let row = rows.peek(index); row !== undefined && row.key < index; row = rows.peek(index)) {
      this.#add(`no record began the ${what} of row ${row.key}`);
      rows.take();
    }
    const row = rows.peek(index);
    if (row?.key !== index) {
      this.#add(`the ${what} that record ${index} began is not shown`);
      return;
    }
    rows.take();
    rows.open.set(id, row.ended);
    if (!fits(row, entry, id)) this.#add(`the ${what} that record ${index} began is shown as something else`);
  }

  #ended(what: string, rows: Rows, index: number, id: string): void {
    const ended = rows.open.get(id);
    rows.open.delete(id);
    if (ended === undefined || ended === index || index >= this.#indexed) return;
    this.#add(`record ${index} ended the ${what} ${id}, and it is not shown so`);
  }

  #mentioned(index: number, id: string): void {
    if (index >= this.#indexed) return;
    this.#mentions += 1;
    const sql = "SELECT 1 FROM mentions WHERE call = ? AND idx = ?";
    if (this.#query.get(sql, Buffer.from(id, "hex"), index) === undefined)
      this.#add(`record ${index} of a call or session is not shown`);
  }

  #event(index: number, { type, user, connection, session, timeMs }: IndexEntry): void {
    if (session !== "") this.#mentioned(index, session);
    if (index >= this.#indexed) return;
    this.#events += 1;
    if (this.#query.get(EVENT, type, user, connection, index, timeMs) === undefined)
      this.#add(`record ${index} is not shown among the events`);
  }

  /** One too many would make payloads that somebody took away look purged. */
  #purged(index: number, { class: name, from }: RecordDraft<"retention.purged">): void {
    if (index >= this.#indexed) return;
    this.#purges += 1;
    const sql = "SELECT 1 FROM purges WHERE idx = ? AND retention = ? AND month = ?";
    if (this.#query.get(sql, index, retentionNumber(name), monthOf(Date.parse(from))) === undefined)
      this.#add(`the purge of record ${index} is not shown, or as another`);
  }

  #timed(index: number, timeMs: number): void {
    this.#earliest = Math.min(this.#earliest, timeMs);
    this.#latest = Math.max(this.#latest, timeMs);
    if ((index + 1) % BLOCK_RECORDS !== 0) return;
    const block = (index + 1) / BLOCK_RECORDS - 1;
    const row = this.#query.get<{ earliest: number; latest: number }>("SELECT * FROM blocks WHERE block = ?", block);
    const wrong = row?.earliest !== this.#earliest || row.latest !== this.#latest;
    if (wrong && index < this.#indexed)
      this.#add(`the times of the records ${index + 1 - BLOCK_RECORDS} to ${index} are shown wrong`);
    this.#earliest = Number.POSITIVE_INFINITY;
    this.#latest = Number.NEGATIVE_INFINITY;
  }

  #add(message: string): void {
    if (this.findings.length < MOST_FINDINGS) this.findings.push({ kind: "table", message });
  }
}

/** The rows of a table in the order of their keys, and those whose end was not seen. */
class Rows {
  /** By id: the record that is said to have ended it. */
  readonly open = new Map<string, number | null>();
  readonly #query: Query;
  readonly #sql: string;
  #rows: Row[] = [];
  #at = 0;
  #next = 0;
  #over = false;

  constructor(query: Query, sql: string) {
    this.#query = query;
    this.#sql = sql;
  }

  /** The next row. Rows are read when a record before `reached` may need them, so that none is read too early. */
  peek(reached: number): Row | undefined {
    if (this.#at === this.#rows.length && !this.#over && this.#next <= reached) {
      this.#rows = this.#query.all<Row>(this.#sql, this.#next);
      this.#at = 0;
      this.#over = this.#rows.length === 0;
      this.#next = (this.#rows.at(-1)?.key ?? 0) + 1;
    }
    return this.#rows[this.#at];
  }

  take(): void {
    this.#at += 1;
  }
}

function fits(row: Row, entry: IndexEntry, id: string): boolean {
  const same = (bytes: Uint8Array | undefined, hex: string): boolean =>
    bytes !== undefined && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex") === hex;
  if (!same(row.id, id) || row.user !== entry.user) return false;
  if (entry.type === OPENED) return true;
  const { time, verdict, connection } = row;
  return (
    time === entry.timeMs &&
    verdict === entry.verdict &&
    connection === entry.connection &&
    same(row.session, entry.session)
  );
}
