import type { CallFilter } from "../../evidence/port.ts";
import { idBytes, VERDICT_NUMBERS, verdictNumber } from "./keys.ts";
import type { Query } from "./query.ts";
import { keySpan } from "./time-blocks.ts";

/** So many series are merged at once: one look into the index for each costs less than passing over calls that do not fit. */
const FEW_SERIES = 100;
/** With more series, many of the newest calls fit: so many are looked at one after another before the series are merged. */
const SCANNED = 5_000;

/**
 * Keys of the calls that fit, newest first: `count` of them, all before the key `before`.
 *
 * Whatever the filter, the work is bounded: calls stand in series (one user, one connection, one verdict) or under their
 * session and verdict, each in the order of their keys in one index, and the newest of several series are merged.
 */
export function findCalls(query: Query, filter: CallFilter, count: number, before: number): number[] {
  const span = timeSpan(query, filter, before);
  const series = matchingSeries(query, filter);
  if (series?.length === 0) return [];
  if (filter.session !== undefined) return inSession(query, filter, series, count, span);
  if (series === undefined) return query.all<{ key: number }>(`${NEWEST} LIMIT ?`, ...values(span), count).map(keyOf);
  const readers = series.map((key) => seriesReader(query, key, span));
  if (readers.length <= FEW_SERIES) return merge(readers, count);
  const near = scan(query, new Set(series), count, span);
  return near.complete ? near.keys : merge(readers, count);
}

interface Span {
  readonly from: number;
  readonly before: number;
  readonly since: number;
  readonly until: number;
}

function timeSpan(query: Query, { sinceMs, untilMs }: CallFilter, before: number): Span {
  const since = sinceMs ?? Number.MIN_SAFE_INTEGER;
  const until = untilMs ?? Number.MAX_SAFE_INTEGER;
  if (sinceMs === undefined && untilMs === undefined) return { from: 0, before, since, until };
  const span = keySpan(query, since, until);
  const newer = query.get("SELECT 1 FROM calls WHERE key >= ? AND time < ? LIMIT 1", span.tail, until);
  return { from: span.from, before: newer === undefined ? Math.min(before, span.before) : before, since, until };
}

const values = ({ from, before, since, until }: Span): readonly number[] => [from, before, since, until];
const keyOf = ({ key }: { readonly key: number }): number => key;
const IN_SPAN = "key >= ? AND key < ? AND time >= ? AND time < ?";
const NEWEST = `SELECT key FROM calls WHERE ${IN_SPAN} ORDER BY key DESC`;

/** The series that a filter picks; undefined: all, because it says nothing of user, connection and verdict. */
function matchingSeries(query: Query, filter: CallFilter): number[] | undefined {
  const { user, connection, verdict } = filter;
  if (user === undefined && connection === undefined && verdict === undefined) return undefined;
  const nameKey = (name: string | undefined): number | null =>
    name === undefined ? null : (query.get<{ key: number }>("SELECT key FROM names WHERE name = ?", name)?.key ?? -1);
  return query
    .all<{ key: number }>(
      `SELECT key FROM series WHERE (?1 IS NULL OR user = ?1) AND (?2 IS NULL OR connection = ?2)
       AND (?3 IS NULL OR verdict = ?3)`,
      nameKey(user),
      nameKey(connection),
      verdict === undefined ? null : verdictNumber(verdict),
    )
    .map(keyOf);
}

/** Most filters fit many of the newest calls: those are found without the index. */
function scan(
  query: Query,
  series: ReadonlySet<number>,
  count: number,
  span: Span,
): { keys: number[]; complete: boolean } {
  const keys: number[] = [];
  let seen = 0;
  const rows = query.iterate<{ key: number; series: number }>(
    `SELECT key, series FROM calls WHERE ${IN_SPAN} ORDER BY key DESC LIMIT ?`,
    ...values(span),
    SCANNED,
  );
  for (const row of rows) {
    seen += 1;
    if (!series.has(row.series)) continue;
    keys.push(row.key);
    if (keys.length === count) return { keys, complete: true };
  }
  return { keys, complete: seen < SCANNED };
}

/** The next key below one, of one ordered run of keys. */
type RunReader = (before: number) => number | undefined;

const seriesReader =
  (query: Query, series: number, span: Span): RunReader =>
  (before) =>
    query.get<{ key: number }>(
      `SELECT key FROM calls WHERE series = ? AND ${IN_SPAN} ORDER BY key DESC LIMIT 1`,
      series,
      ...values({ ...span, before: Math.min(before, span.before) }),
    )?.key;

function inSession(
  query: Query,
  { session, verdict }: CallFilter,
  series: readonly number[] | undefined,
  count: number,
  span: Span,
): number[] {
  if (session === undefined) return [];
  const id = idBytes(session);
  const picked = series === undefined ? undefined : new Set(series);
  const verdicts = verdict === undefined ? VERDICT_NUMBERS : [verdictNumber(verdict)];
  const runs = verdicts.map(
    (number): RunReader =>
      (before) => {
        const rows = query.iterate<{ key: number; series: number }>(
          `SELECT key, series FROM calls WHERE session = ? AND verdict = ? AND ${IN_SPAN} ORDER BY key DESC`,
          id,
          number,
          ...values({ ...span, before: Math.min(before, span.before) }),
        );
        // A session is of one user on one connection, so the first row decides; only a user renamed meanwhile makes it look on.
        for (const row of rows) if (picked === undefined || picked.has(row.series)) return row.key;
        return undefined;
      },
  );
  return merge(runs, count);
}

/** The largest keys of several descending runs. */
function merge(runs: readonly RunReader[], count: number): number[] {
  const heads = runs
    .map((read) => ({ read, key: read(Number.MAX_SAFE_INTEGER) }))
    .filter((head) => head.key !== undefined);
  const keys: number[] = [];
  while (keys.length < count && heads.length > 0) {
    let newest = 0;
    for (let i = 1; i < heads.length; i++) if ((heads[i]?.key ?? -1) > (heads[newest]?.key ?? -1)) newest = i;
    const head = heads[newest] as { read: RunReader; key: number | undefined };
    keys.push(head.key as number);
    head.key = head.read(head.key as number);
    if (head.key === undefined) heads.splice(newest, 1);
  }
  return keys;
}
