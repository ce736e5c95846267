import type { Query } from "../query.ts";

/** Records in one block. */
export const BLOCK_RECORDS = 4096;

/**
 * Where the records of a span of time can be. Records come in the log's order, and their times follow it only as long as
 * nobody sets the clock; so each complete block of records keeps its earliest and latest time, and whoever looks compares
 * the time of each record in [from, before) and from `tail` on.
 */
export interface KeySpan {
  readonly from: number;
  readonly before: number;
  /** The first record after the complete blocks. */
  readonly tail: number;
}

export function keySpan(query: Query, sinceMs: number, untilMs: number): KeySpan {
  const blocks = query.get<{ blocks: number }>("SELECT coalesce(max(block) + 1, 0) AS blocks FROM blocks")?.blocks ?? 0;
  const tail = blocks * BLOCK_RECORDS;
  const found = query.get<{ low: number | null; high: number | null }>(
    "SELECT min(block) AS low, max(block) AS high FROM blocks WHERE latest >= ? AND earliest < ?",
    sinceMs,
    untilMs,
  );
  if (typeof found?.low !== "number" || typeof found.high !== "number") return { from: tail, before: tail, tail };
  return { from: found.low * BLOCK_RECORDS, before: (found.high + 1) * BLOCK_RECORDS, tail };
}
