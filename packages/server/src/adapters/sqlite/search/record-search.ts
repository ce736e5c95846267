import type { RecordType, StoredRecord } from "@hoopish/protocol";
import type { FoundRecord, Page, RecordFilter } from "../../../evidence/port.ts";
import { idBytes, typeNumber } from "../keys.ts";
import type { Query } from "../query.ts";
import { type Bounds, type Found, paged, together } from "./bounds.ts";
import { decidedCalls, endedCalls } from "./ended-calls.ts";
import { merge, nameKey, pickSeries, seriesRuns } from "./runs.ts";
import { keySpan } from "./time-blocks.ts";

/**
 * Records of any type, newest first, each looked at once more before it is given: an index says where one may be.
 * Calls are found by the index of calls, everything else by that of events.
 */
export function searchRecords(
  query: Query,
  filter: RecordFilter,
  limit: number,
  cursor: string | undefined,
): Page<FoundRecord> {
  const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
  const items: FoundRecord[] = [];
  for (const index of candidates(query, filter, before)) {
    const leaf = leafOf(query, index);
    if (leaf === undefined || !fits(leaf, filter)) continue;
    if (items.length === limit) return { items, next: String(items.at(-1)?.index) };
    items.push({ index, leaf });
  }
  return { items, next: undefined };
}

/** Everything that can fit: first what is newer than the complete blocks, whose times are known together, then these. */
function* candidates(query: Query, filter: RecordFilter, before: number): Found {
  const { sinceMs, untilMs } = filter;
  if (sinceMs === undefined && untilMs === undefined) return yield* within(query, filter, { from: 0, before });
  const span = keySpan(query, sinceMs ?? Number.MIN_SAFE_INTEGER, untilMs ?? Number.MAX_SAFE_INTEGER);
  if (before > span.tail) yield* within(query, filter, { from: span.tail, before });
  yield* within(query, filter, { from: span.from, before: Math.min(span.before, before) });
}

function within(query: Query, filter: RecordFilter, bounds: Bounds): Found {
  if (bounds.from >= bounds.before) return together([]);
  const { types, user, connection, session, call } = filter;
  if (call !== undefined) return ofCall(query, filter, bounds);
  const wants = (type: RecordType): boolean => types === undefined || types.includes(type);
  if ([types, user, connection, session].every((member) => member === undefined)) return everything(query, bounds);
  return together([
    ...(wants("call.decided") ? [decidedCalls(query, filter, bounds)] : []),
    ...(wants("call.answered") ? [endedCalls(query, filter, bounds)] : []),
    session === undefined ? events(query, filter, bounds) : mentions(query, idBytes(session), bounds),
  ]);
}

const everything = (query: Query, bounds: Bounds): Found =>
  paged(bounds, (count, before) =>
    query
      .all<{ idx: number }>("SELECT idx FROM records WHERE idx < ? ORDER BY idx DESC LIMIT ?", before, count)
      .map(indexOf),
  );

/** Records that name a session, or a call, and are not a call's own. */
const mentions = (query: Query, id: Buffer, bounds: Bounds): Found =>
  paged(bounds, (count, before) =>
    query
      .all<{ idx: number }>(
        "SELECT idx FROM mentions WHERE call = ? AND idx < ? ORDER BY idx DESC LIMIT ?",
        id,
        before,
        count,
      )
      .map(indexOf),
  );

function ofCall(query: Query, { call }: RecordFilter, bounds: Bounds): Found {
  if (call === undefined) return together([]);
  const id = idBytes(call);
  const row = query.get<{ key: number; ended: number | null }>("SELECT key, ended FROM calls WHERE id = ?", id);
  const own = [row?.ended ?? -1, row?.key ?? -1].filter((index) => index >= bounds.from && index < bounds.before);
  return together([own.values() as Found, mentions(query, id, bounds)]);
}

function events(query: Query, filter: RecordFilter, bounds: Bounds): Found {
  const { types, user, connection, sinceMs, untilMs } = filter;
  const picked = pickSeries(query, "event_series", {
    type: types?.map(typeNumber),
    user: nameKey(query, user),
    connection: nameKey(query, connection),
  });
  if (picked === undefined) return together([]);
  const times = [sinceMs ?? Number.MIN_SAFE_INTEGER, untilMs ?? Number.MAX_SAFE_INTEGER];
  const rows = {
    series: "event_series",
    table: "events",
    column: "idx",
    where: "idx < ? AND time >= ? AND time < ?",
    values: (before: number) => [before, ...times],
  };
  return paged(bounds, (count, before) => merge(seriesRuns(query, rows, picked, count, before), count));
}

const indexOf = ({ idx }: { readonly idx: number }): number => idx;

function leafOf(query: Query, index: number): string | undefined {
  const row = query.get<{ leaf: Uint8Array }>("SELECT leaf FROM records WHERE idx = ?", index);
  return row === undefined ? undefined : Buffer.from(row.leaf).toString();
}

function fits(leaf: string, { types, user, connection, session, call, sinceMs, untilMs }: RecordFilter): boolean {
  const record = JSON.parse(leaf) as StoredRecord & { readonly connection?: string };
  const timeMs = Date.parse(record.time);
  return (
    (types === undefined || types.includes(record.type)) &&
    (user === undefined || record.actor?.name === user) &&
    (connection === undefined || record.connection === connection) &&
    (session === undefined || record.session === session) &&
    (call === undefined || record.call === call) &&
    (sinceMs === undefined || timeMs >= sinceMs) &&
    (untilMs === undefined || timeMs < untilMs)
  );
}
