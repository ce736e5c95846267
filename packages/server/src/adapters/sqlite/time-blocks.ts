import type { Query } from "./query.ts";

/** Records in one block. */
export const BLOCK_RECORDS = 4096;

/**
 * Records come in the log's order, and their times follow it only as long as nobody sets the clock. So each complete
 * block of records keeps its earliest and latest time, and a span of time becomes a span of indexes that holds all of it
 * (and perhaps more: who asks compares the time of each record).
 */
export function keysBetween(
  query: Query,
  sinceMs: number | undefined,
  untilMs: number | undefined,
): { readonly from: number; readonly before: number } {
  if (sinceMs === undefined && untilMs === undefined) return { from: 0, before: Number.MAX_SAFE_INTEGER };
  const { blocks } = query.get<{ blocks: number }>("SELECT coalesce(max(block) + 1, 0) AS blocks FROM blocks") ?? {
    blocks: 0,
  };
  const found = query.get<{ low: number | null }>(
    "SELECT min(block) AS low FROM blocks WHERE latest >= ? AND earliest < ?",
    sinceMs ?? Number.MIN_SAFE_INTEGER,
    untilMs ?? Number.MAX_SAFE_INTEGER,
  );
  // What follows the last complete block is always looked at.
  return { from: (found?.low ?? blocks) * BLOCK_RECORDS, before: Number.MAX_SAFE_INTEGER };
}
