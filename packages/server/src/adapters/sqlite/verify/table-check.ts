import { DatabaseSync } from "node:sqlite";
import type { StoredRecord } from "@hoopish/protocol";
import { indexEntry } from "../index-entry.ts";
import { Indexer } from "../indexer.ts";
import { Query } from "../query.ts";
import { migrate } from "../schema.ts";
import type { Finding } from "./log-check.ts";

/** A derived table as it can be compared: whole rows, with names in the place of the numbers that stand for them. */
interface Derived {
  readonly what: string;
  readonly sql: string;
  /** The column that tells a reader which row is meant. */
  readonly shown: string;
}

const DERIVED: readonly Derived[] = [
  {
    what: "call",
    shown: "key",
    sql: `SELECT calls.key, hex(id) AS id, time, hex(session) AS session, calls.verdict, ended, u.name AS user, c.name AS connection
      FROM calls LEFT JOIN series AS s ON s.key = calls.series AND s.verdict = calls.verdict
      LEFT JOIN names AS u ON u.key = s.user LEFT JOIN names AS c ON c.key = s.connection ORDER BY calls.key`,
  },
  {
    what: "session",
    shown: "key",
    sql: `SELECT sessions.key, hex(id) AS id, closed, u.name AS user FROM sessions LEFT JOIN names AS u ON u.key = sessions.user
      ORDER BY sessions.key`,
  },
  {
    what: "event",
    shown: "idx",
    sql: `SELECT idx, time, s.type, u.name AS user, c.name AS connection FROM events LEFT JOIN event_series AS s ON s.key = series
      LEFT JOIN names AS u ON u.key = s.user LEFT JOIN names AS c ON c.key = s.connection ORDER BY idx`,
  },
  { what: "mention", shown: "idx", sql: "SELECT hex(call) AS call, idx FROM mentions ORDER BY mentions.call, idx" },
  // One too many would make payloads that somebody took away look purged.
  { what: "purge", shown: "idx", sql: "SELECT idx, retention, month FROM purges ORDER BY idx" },
  { what: "block of times", shown: "block", sql: "SELECT block, earliest, latest FROM blocks ORDER BY block" },
];

type Row = Readonly<Record<string, unknown>>;

const CHUNK_RECORDS = 4_096;

/**
 * Compares the derived tables, which auditors search, with tables that are made anew from the records: a row that was
 * deleted or changed hides a call from a search, and nothing else would say so. What is made anew stands in a temporary
 * file that nobody else can open. Within one snapshot of `query`.
 *
 * @param size records that are known to be good
 * @returns the first difference in each table
 */
export function checkTables(query: Query, size: number): Finding[] {
  const findings: Finding[] = [];
  const indexed = query.get<{ value: number }>("SELECT value FROM state WHERE name = 'indexed'")?.value ?? 0;
  const total = query.get<{ size: number | null }>("SELECT max(idx) + 1 AS size FROM records")?.size ?? 0;
  if (indexed > total) findings.push(finding(`the tables say that they show ${indexed} records of ${total}`));
  const scratch = new DatabaseSync("");
  try {
    migrate(scratch);
    scratch.exec("PRAGMA journal_mode = OFF");
    index(query, scratch, Math.min(indexed, Math.max(size, total)));
    const made = new Query(scratch);
    for (const derived of DERIVED) {
      const different = firstDifference(derived, query.iterate<Row>(derived.sql), made.iterate<Row>(derived.sql));
      if (different !== undefined) findings.push(different);
    }
    return findings;
  } finally {
    scratch.close();
  }
}

/** As the writer does. */
function index(query: Query, into: DatabaseSync, size: number): void {
  const leafOf = (index: number): Uint8Array =>
    query.get<{ leaf: Uint8Array }>("SELECT leaf FROM records WHERE idx = ?", index)?.leaf ?? new Uint8Array(0);
  const indexer = new Indexer(into, leafOf);
  for (let from = 0; from < size; from += CHUNK_RECORDS) {
    const rows = query.iterate<{ idx: number; leaf: Uint8Array }>(
      "SELECT idx, leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
      from,
      Math.min(from + CHUNK_RECORDS, size),
    );
    for (const { idx, leaf } of rows) {
      const text = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString();
      const record = JSON.parse(text) as StoredRecord;
      indexer.add(idx, indexEntry(record, Date.parse(record.time)));
    }
    indexer.apply();
  }
}

function firstDifference({ what, shown }: Derived, stored: Iterable<Row>, made: Iterable<Row>): Finding | undefined {
  const rows = stored[Symbol.iterator]();
  for (const right of made) {
    const left = rows.next();
    if (left.done === true || !same(left.value, right)) {
      const said = left.done === true ? "nothing" : JSON.stringify(left.value);
      return finding(`the ${what} ${right[shown]} is shown as ${said}, and the log says ${JSON.stringify(right)}`);
    }
  }
  const more = rows.next();
  if (more.done === true) return undefined;
  return finding(`the ${what} ${more.value[shown]} is shown, and the log has none`);
}

function same(left: Row, right: Row): boolean {
  for (const name of Object.keys(right)) if (left[name] !== right[name]) return false;
  return true;
}

const finding = (message: string): Finding => ({ kind: "table", message });
