import type { CallFilter } from "../../../evidence/port.ts";
import { idBytes, VERDICT_NUMBERS, verdictNumber } from "../keys.ts";
import type { Query } from "../query.ts";
import { merge, nameKey, type PickedSeries, pickSeries, type Run, seriesRuns } from "./runs.ts";
import { keySpan } from "./time-blocks.ts";

/** A filter that picks more series than this fits many of the newest calls. */
const MANY_SERIES = 5_000;
/** Then so many calls are looked at one after another, before the index is asked for each series. */
const SCANNED = 5_000;

/**
 * Keys of the calls that fit, newest first: `count` of them, all before the key `before`.
 *
 * Whatever the filter, calls that do not fit are not passed over: calls stand in series (one user, one connection, one
 * verdict), and under their session and verdict, each in the order of their keys in one index. The newest of all that
 * fit are among the newest of the `count` series whose own newest are newest; those are merged.
 */
export function findCalls(
  query: Query,
  filter: CallFilter,
  count: number,
  before: number,
  manySeries: number = MANY_SERIES,
): readonly number[] {
  const span = timeSpan(query, filter, before);
  if (filter.session !== undefined) return merge(sessionRuns(query, filter, span), count);
  const picked = pickedSeries(query, filter);
  if (picked === undefined) return query.all<{ key: number }>(`${NEWEST} LIMIT ?`, ...values(span), count).map(keyOf);
  const near = picked.series() > manySeries ? scan(query, picked, count, span) : undefined;
  if (near?.complete === true) return near.keys;
  return merge(
    seriesRuns(query, { ...CALLS, values: (key) => values({ ...span, before: key }) }, picked, count, span.before),
    count,
  );
}

/** Where the search looks: keys in [from, before) whose time is in [since, until). */
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

const IN_SPAN = "key < ? AND key >= ? AND time >= ? AND time < ?";
const CALLS = { series: "series", table: "calls", column: "key", where: IN_SPAN };
const NEWEST = `SELECT key FROM calls WHERE ${IN_SPAN} ORDER BY key DESC`;
const values = ({ from, before, since, until }: Span): readonly number[] => [before, from, since, until];
const keyOf = ({ key }: { readonly key: number }): number => key;

/** Undefined: the filter says nothing of user, connection and verdict. */
export function pickedSeries(
  query: Query,
  { user, connection, verdict }: Partial<CallFilter>,
): PickedSeries | undefined {
  return pickSeries(query, "series", {
    user: nameKey(query, user),
    connection: nameKey(query, connection),
    verdict: verdict === undefined ? undefined : [verdictNumber(verdict)],
  });
}

function scan(
  query: Query,
  picked: PickedSeries,
  count: number,
  span: Span,
): { readonly keys: readonly number[]; readonly complete: boolean } {
  const rows = query.all<{ key: number; fits: number }>(
    `SELECT key, series IN (SELECT s.key FROM series AS s WHERE ${picked.condition}) AS fits FROM calls
     WHERE ${IN_SPAN} ORDER BY key DESC LIMIT ?`,
    ...picked.values,
    ...values(span),
    SCANNED,
  );
  const keys = rows.flatMap(({ key, fits }) => (fits === 1 ? [key] : [])).slice(0, count);
  return { keys, complete: keys.length === count || rows.length < SCANNED };
}

/** One run for each verdict, of the calls of one session. */
function sessionRuns(query: Query, filter: CallFilter, span: Span): Run[] {
  const { session, verdict } = filter;
  if (session === undefined) return [];
  const picked = pickedSeries(query, filter);
  // A session is of one user on one connection, so this is true of all its calls or none, unless a user is renamed in it.
  const fits = picked === undefined ? "" : `AND series IN (SELECT s.key FROM series AS s WHERE ${picked.condition})`;
  const next = `SELECT key FROM calls WHERE session = ? AND verdict = ? AND ${IN_SPAN} ${fits} ORDER BY key DESC LIMIT 1`;
  const verdicts = verdict === undefined ? VERDICT_NUMBERS : [verdictNumber(verdict)];
  return verdicts.map((number) => {
    const before = (key: number): number | undefined =>
      query.get<{ key: number }>(
        next,
        idBytes(session),
        number,
        ...values({ ...span, before: key }),
        ...(picked?.values ?? []),
      )?.key;
    return { newest: before(span.before), next: before };
  });
}
