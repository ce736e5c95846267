import type { SessionId } from "@hoopish/protocol";
import { idBytes } from "../keys.ts";
import type { Query } from "../query.ts";
import { type Bounds, type Found, paged, together } from "./bounds.ts";
import { findCalls, pickedSeries } from "./call-search.ts";
import { merge, seriesRuns } from "./runs.ts";

/**
 * A call that ended within so many records of its decision is found by its decision, without an index of ends, which
 * every call would have to pay for. Those that took longer have one (calls_late in schema.ts, where this number stands
 * too).
 */
export const REACH = 4_096;

export interface CallsFilter {
  readonly user: string | undefined;
  readonly connection: string | undefined;
  readonly session: SessionId | undefined;
}

/** The records that ended calls, newest first. */
export function endedCalls(query: Query, filter: CallsFilter, bounds: Bounds): Found {
  return together([soonEnded(query, filter, bounds), lateEnded(query, filter, bounds)]);
}

/** The records that decided calls. */
export function decidedCalls(query: Query, filter: CallsFilter, bounds: Bounds): Found {
  const calls = { ...filter, ...ANY };
  return paged(bounds, (count, before) => findCalls(query, calls, count, before));
}

const ANY = { sinceMs: undefined, untilMs: undefined, verdict: undefined };

/**
 * Calls come in the order of their decisions; their ends wait until no call that was decided before can have ended later.
 */
function* soonEnded(query: Query, filter: CallsFilter, { from, before }: Bounds): Found {
  /** Growing; given away from its end. */
  const waiting: number[] = [];
  for (const key of decidedCalls(query, filter, { from: Math.max(0, from - REACH), before })) {
    const ended = query.get<{ ended: number | null }>("SELECT ended FROM calls WHERE key = ?", key)?.ended;
    if (typeof ended === "number" && ended >= from && ended < before && ended <= key + REACH) insert(waiting, ended);
    while ((waiting.at(-1) ?? -1) >= key + REACH) yield waiting.pop() as number;
  }
  for (let last = waiting.pop(); last !== undefined; last = waiting.pop()) yield last;
}

function insert(growing: number[], value: number): void {
  let at = 0;
  // Nearly always the smallest so far.
  while (at < growing.length && (growing[at] as number) < value) at += 1;
  growing.splice(at, 0, value);
}

const LATE = `ended < ? AND ended > key + ${REACH}`;

function lateEnded(query: Query, filter: CallsFilter, bounds: Bounds): Found {
  const picked = pickedSeries(query, filter);
  const { session } = filter;
  if (session !== undefined) {
    const fits = picked === undefined ? "" : `AND series IN (SELECT s.key FROM series AS s WHERE ${picked.condition})`;
    const newest = `SELECT ended FROM calls WHERE session = ? AND ${LATE} ${fits} ORDER BY ended DESC LIMIT ?`;
    return paged(bounds, (count, before) =>
      query
        .all<{ ended: number }>(newest, idBytes(session), before, ...(picked?.values ?? []), count)
        .map(({ ended }) => ended),
    );
  }
  const rows = {
    series: "series",
    table: "calls",
    column: "ended",
    where: LATE,
    values: (before: number) => [before],
  };
  const every = picked ?? { condition: "TRUE", values: [], series: () => 0 };
  return paged(bounds, (count, before) => merge(seriesRuns(query, rows, every, count, before), count));
}
