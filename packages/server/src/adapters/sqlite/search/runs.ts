import type { Query } from "../query.ts";

/** The part of a filter that picks series, as a condition on `s`. */
export interface PickedSeries {
  readonly condition: string;
  readonly values: readonly number[];
  /** How many. */
  series(): number;
}

/** An ordered run of keys: its newest, and the next before a key. */
export interface Run {
  readonly newest: number | undefined;
  next(before: number): number | undefined;
}

/** Rows that stand in series, each series in the order of its keys in one index. */
export interface SeriesRows {
  /** The table of the series. */
  readonly series: string;
  readonly table: string;
  /** What the rows are ordered by: unique in the table. */
  readonly column: string;
  /** Which rows: a condition that begins with "column < ?". */
  readonly where: string;
  /** Of the condition, for the rows before a key. */
  values(before: number): readonly number[];
}

const NO_NAME = -1;
/** Undefined for undefined; a key that nobody has for a name that the log does not hold. */
export const nameKey = (query: Query, name: string | undefined): readonly number[] | undefined =>
  name === undefined
    ? undefined
    : [query.get<{ key: number }>("SELECT key FROM names WHERE name = ?", name)?.key ?? NO_NAME];

/** @param wanted column → the values that fit; undefined: every one @returns undefined when every series fits */
export function pickSeries(
  query: Query,
  table: string,
  wanted: Readonly<Record<string, readonly number[] | undefined>>,
): PickedSeries | undefined {
  const given = Object.entries(wanted).flatMap(([column, values]) =>
    values === undefined ? [] : [{ column, values }],
  );
  if (given.length === 0) return undefined;
  const condition = given
    .map(({ column, values }) =>
      values.length === 1 ? `s.${column} = ?` : `s.${column} IN (${values.map(() => "?").join(", ")})`,
    )
    .join(" AND ");
  const values = given.flatMap((one) => one.values);
  const series = (): number =>
    query.get<{ count: number }>(`SELECT count(*) AS count FROM ${table} AS s WHERE ${condition}`, ...values)?.count ??
    0;
  return { condition, values, series };
}

/**
 * Runs among which are the `count` newest rows before a key: the newest of all that fit are among the newest of the
 * `count` series whose own newest are newest.
 */
export function seriesRuns(
  query: Query,
  { series, table, column, where, values }: SeriesRows,
  picked: PickedSeries,
  count: number,
  before: number,
): Run[] {
  const heads = query.all<{ series: number; newest: number | null }>(
    `SELECT s.key AS series,
       (SELECT ${column} FROM ${table} WHERE series = s.key AND ${where} ORDER BY ${column} DESC LIMIT 1) AS newest
     FROM ${series} AS s WHERE ${picked.condition} ORDER BY newest DESC LIMIT ?`,
    ...values(before),
    ...picked.values,
    count,
  );
  const next = `SELECT ${column} AS key FROM ${table} WHERE series = ? AND ${where} ORDER BY ${column} DESC LIMIT 1`;
  return heads.map((head) => ({
    newest: head.newest ?? undefined,
    next: (key) => query.get<{ key: number }>(next, head.series, ...values(key))?.key,
  }));
}

/** The `count` largest keys of descending runs. */
export function merge(runs: readonly Run[], count: number): number[] {
  const heads = runs.map(({ newest, next }) => ({ key: newest ?? NO_KEY, next }));
  const keys: number[] = [];
  while (keys.length < count) {
    let newest = { key: NO_KEY, next: (_: number): number | undefined => undefined };
    for (const head of heads) if (head.key > newest.key) newest = head;
    if (newest.key === NO_KEY) break;
    keys.push(newest.key);
    newest.key = newest.next(newest.key) ?? NO_KEY;
  }
  return keys;
}

const NO_KEY = -1;
