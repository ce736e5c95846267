import type { StoredRecord } from "@hoopish/protocol";
import type { Query } from "../query.ts";
import { keySpan } from "../search/time-blocks.ts";
import type { CheckpointRow } from "./checkpoint-writer.ts";

/**
 * The largest checkpoint that was signed at or before a time, and has no record of that time or a later one in it. The
 * second half matters where somebody has set the clock back: what was signed after that looks older than it is, and an
 * export that began there would leave out what was recorded before.
 */
export function signedBefore(query: Query, timeMs: number): CheckpointRow | undefined {
  return query.get<CheckpointRow>(
    "SELECT size, time, root, note FROM checkpoints WHERE time <= ? AND size <= ? ORDER BY size DESC LIMIT 1",
    timeMs,
    firstFrom(query, timeMs),
  );
}

/** Index of the first record of that time or later. */
function firstFrom(query: Query, timeMs: number): number {
  const { from } = keySpan(query, timeMs, Number.MAX_SAFE_INTEGER);
  const rows = query.iterate<{ idx: number; leaf: Uint8Array }>(
    "SELECT idx, leaf FROM records WHERE idx >= ? ORDER BY idx",
    from,
  );
  for (const { idx, leaf } of rows) {
    const { time } = JSON.parse(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString()) as StoredRecord;
    if (Date.parse(time) >= timeMs) return idx;
  }
  return Number.MAX_SAFE_INTEGER;
}
