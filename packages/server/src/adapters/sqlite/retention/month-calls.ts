import type { CallId, HoldFilters, HoldId, RetentionClass } from "@hoopish/protocol";
import { retentionClassOf } from "@hoopish/protocol/record";
import { idBytes, monthStart, retentionNumber, VERDICT_NUMBERS, verdictOf } from "../keys.ts";
import type { Query } from "../query.ts";
import { keySpan } from "../search/time-blocks.ts";
import { decodeSizes, type FieldSize } from "../vault/vault-writer.ts";

/** A retention class and a month, as they stand in the database. */
export interface ClassMonth {
  readonly retention: number;
  readonly month: number;
}

/** Records that one step looks at: some ten milliseconds of work. */
const WINDOW_RECORDS = 4096;

/** Records [from, before) of the log. */
export interface Window {
  readonly from: number;
  readonly before: number;
}

/** The next records, from `from` on, among which a month's calls can be; undefined: there are no more. */
export function nextWindow(query: Query, { month }: ClassMonth, from: number): Window | undefined {
  const span = keySpan(query, monthStart(month).getTime(), monthStart(month + 1).getTime());
  const size = query.get<{ size: number }>("SELECT coalesce(max(idx) + 1, 0) AS size FROM records")?.size ?? 0;
  for (const [first, end] of [
    [span.from, span.before],
    [Math.max(span.tail, span.before), size],
  ] as const) {
    const begin = Math.max(first, from);
    if (begin < end) return { from: begin, before: Math.min(begin + WINDOW_RECORDS, end) };
  }
  return undefined;
}

/** Pieces of a call in one block. */
interface BlockPieces {
  readonly block: number;
  /** The key with which the block is sealed, which may be gone. */
  readonly key: number;
  readonly sizes: readonly FieldSize[];
}

/** A call of which the vault holds something. All of it is sealed with one key: a purge leaves calls alone that still run. */
export interface SealedCall {
  /** Index of the record that decided it. */
  readonly key: number;
  readonly id: CallId;
  readonly timeMs: number;
  readonly session: Uint8Array;
  /** Numbers in `names`. */
  readonly user: number;
  readonly connection: number;
  /** At least one, in their order. */
  readonly pieces: readonly BlockPieces[];
}

interface Row {
  readonly key: number;
  readonly id: Uint8Array;
  readonly time: number;
  readonly session: Uint8Array;
  readonly user: number;
  readonly connection: number;
  readonly block: number;
  readonly sizes: Uint8Array;
  readonly sealed: number;
}

/** A class's and month's calls in a window, in the log's order. */
export function* sealedCalls(query: Query, { retention, month }: ClassMonth, window: Window): Generator<SealedCall> {
  // CROSS JOIN: in this order, from the window on.
  const rows = query.iterate<Row>(
    `SELECT calls.key AS key, calls.id AS id, calls.time AS time, calls.session AS session, series.user AS user,
       series.connection AS connection, pieces.block AS block, pieces.sizes AS sizes, vault.key AS sealed
     FROM calls CROSS JOIN series ON series.key = calls.series CROSS JOIN pieces ON pieces.call = calls.key
       CROSS JOIN vault ON vault.block = pieces.block
     WHERE calls.key >= ? AND calls.key < ? AND calls.time >= ? AND calls.time < ? AND calls.verdict IN (${VERDICTS[retention]})
     ORDER BY calls.key, pieces.block`,
    window.from,
    window.before,
    monthStart(month).getTime(),
    monthStart(month + 1).getTime(),
  );
  let call: (SealedCall & { readonly pieces: BlockPieces[] }) | undefined;
  for (const { key, id, time, session, user, connection, block, sizes, sealed } of rows) {
    if (call?.key !== key) {
      if (call !== undefined) yield call;
      const text = `call_${Buffer.from(id).toString("hex")}` as CallId;
      call = { key, id: text, timeMs: time, session, user, connection, pieces: [] };
    }
    call.pieces.push({ block, key: sealed, sizes: decodeSizes(sizes) });
  }
  if (call !== undefined) yield call;
}

/** Numbers of the verdicts whose calls are of a class, for SQL. */
const verdictsOf = (name: RetentionClass): string =>
  VERDICT_NUMBERS.filter((number) => retentionClassOf(verdictOf(number)) === name).join(", ");
const VERDICTS: Readonly<Record<number, string>> = Object.fromEntries(
  (["default", "heldOrBlocked"] as const).map((name) => [retentionNumber(name), verdictsOf(name)]),
);

/** Calls of a class and month that no record has ended. */
export function runningCalls(query: Query, { retention, month }: ClassMonth): number {
  const found = query.get<{ count: number }>(
    `SELECT count(*) AS count FROM calls
     WHERE ended IS NULL AND time >= ? AND time < ? AND verdict IN (${VERDICTS[retention]})`,
    monthStart(month).getTime(),
    monthStart(month + 1).getTime(),
  );
  return found?.count ?? 0;
}

/** A hold that was not released. */
export interface ActiveHold {
  readonly id: HoldId;
  readonly filters: HoldFilters;
}

/** What a hold looks at of a call. */
export type HeldFacts = Pick<SealedCall, "id" | "timeMs" | "session" | "user" | "connection">;

/** Which of the holds keep a call. */
export function holdMatcher(query: Query, holds: readonly ActiveHold[]): (call: HeldFacts) => HoldId[] {
  const nameKey = (name: string): number =>
    query.get<{ key: number }>("SELECT key FROM names WHERE name = ?", name)?.key ?? NO_NAME;
  const tests = holds.map(({ id, filters }) => {
    const { user, connection, session, call, since, until } = filters;
    const wanted = {
      user: user === undefined ? undefined : nameKey(user),
      connection: connection === undefined ? undefined : nameKey(connection),
      session: session === undefined ? undefined : idBytes(session),
      since: since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since),
      until: until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until),
    };
    const fits = (facts: HeldFacts): boolean =>
      (wanted.user ?? facts.user) === facts.user &&
      (wanted.connection ?? facts.connection) === facts.connection &&
      (wanted.session?.equals(facts.session) ?? true) &&
      (call ?? facts.id) === facts.id &&
      facts.timeMs >= wanted.since &&
      facts.timeMs < wanted.until;
    return { id, fits };
  });
  return (call) => tests.flatMap(({ id, fits }) => (fits(call) ? [id] : []));
}

const NO_NAME = -1;
