import type { CallId, CallStory, Payloads, SessionId, SessionView } from "@hoopish/protocol";
import type { CallFilter, Page, RecordedCall } from "../../evidence/port.ts";
import { callView, sessionView } from "../../evidence/views.ts";
import { idBytes, verdictNumber } from "./keys.ts";
import { payloadsOf } from "./payload-queries.ts";
import type { Query } from "./query.ts";
import { keysBetween } from "./time-blocks.ts";

interface CallRow {
  readonly key: number;
  readonly decided: Uint8Array;
  readonly ended: Uint8Array | null;
}

const text = (leaf: Uint8Array): string => Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString();
const view = (row: CallRow): RecordedCall =>
  callView(text(row.decided), row.ended === null ? undefined : text(row.ended));

const CALL_COLUMNS = `calls.key AS key, decided.leaf AS decided, ended.leaf AS ended
  FROM calls JOIN records AS decided ON decided.idx = calls.key LEFT JOIN records AS ended ON ended.idx = calls.ended`;

/** Newest first. */
export function listCalls(
  query: Query,
  filter: CallFilter,
  limit: number,
  cursor: string | undefined,
): Page<RecordedCall> {
  const between = keysBetween(query, filter.sinceMs, filter.untilMs);
  const before = Math.min(between.before, cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor));
  const where = ["calls.key >= ? AND calls.key < ? AND calls.time >= ? AND calls.time < ?"];
  const values: (number | Uint8Array)[] = [
    between.from,
    before,
    filter.sinceMs ?? Number.MIN_SAFE_INTEGER,
    filter.untilMs ?? Number.MAX_SAFE_INTEGER,
  ];
  const equals = (column: string, value: number | undefined): void => {
    where.push(`${column} = ?`);
    values.push(value ?? -2);
  };
  if (filter.user !== undefined) equals("calls.user", nameKey(query, filter.user));
  if (filter.connection !== undefined) equals("calls.connection", nameKey(query, filter.connection));
  if (filter.session !== undefined) equals("calls.session", sessionKey(query, filter.session));
  if (filter.verdict !== undefined) equals("calls.verdict", verdictNumber(filter.verdict));
  const rows = query.all<CallRow>(
    `SELECT ${CALL_COLUMNS} WHERE ${where.join(" AND ")} ORDER BY calls.key DESC LIMIT ?`,
    ...values,
    limit + 1,
  );
  return page(rows, limit, view);
}

export function callStory(query: Query, id: CallId): CallStory | undefined {
  const bytes = idBytes(id);
  const row = query.get<CallRow & { readonly endedIdx: number | null }>(
    `SELECT calls.ended AS endedIdx, ${CALL_COLUMNS} WHERE calls.id = ?`,
    bytes,
  );
  if (row === undefined) return undefined;
  const others = query.all<{ readonly index: number; readonly leaf: Uint8Array }>(
    "SELECT records.idx AS [index], leaf FROM mentions JOIN records ON records.idx = mentions.idx WHERE call = ?",
    bytes,
  );
  const records = [{ index: row.key, leaf: row.decided }, ...others];
  if (row.ended !== null && row.endedIdx !== null) records.push({ index: row.endedIdx, leaf: row.ended });
  const told = records
    .map(({ index, leaf }) => ({ index, leaf: text(leaf) }))
    .sort((left, right) => left.index - right.index);
  const committed: Payloads = Object.assign(
    {},
    ...told.map(({ leaf }) => (JSON.parse(leaf) as { payloads?: Payloads }).payloads ?? {}),
  );
  const payloads = payloadsOf(query, row.key).map(({ field, length, salt }) => ({
    field,
    bytes: length,
    complete: salt !== undefined && committed[field]?.len === length,
  }));
  const { endedAt: _, ...call } = view(row);
  return { call, records: told, payloads };
}

interface SessionRow {
  readonly key: number;
  readonly open: Uint8Array;
  readonly close: Uint8Array | null;
  readonly calls: number;
}

const SESSION_COLUMNS = `sessions.key AS key, open.leaf AS open, close.leaf AS close,
  iif(sessions.closed IS NULL, (SELECT count(*) FROM calls WHERE calls.session = sessions.key), 0) AS calls
  FROM sessions JOIN records AS open ON open.idx = sessions.key LEFT JOIN records AS close ON close.idx = sessions.closed`;

const viewSession = (row: SessionRow): SessionView =>
  sessionView(text(row.open), row.close === null ? undefined : text(row.close), row.calls);

/** Newest first: sessions that are closed, or were opened before record `bootIndex`, the first of this process. */
export function listPastSessions(
  query: Query,
  bootIndex: number,
  user: string | undefined,
  limit: number,
  cursor: string | undefined,
): Page<SessionView> {
  const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
  const ofUser = user === undefined ? "" : "AND sessions.user = ?";
  const values = user === undefined ? [] : [nameKey(query, user) ?? -2];
  const rows = query.all<SessionRow>(
    `SELECT ${SESSION_COLUMNS} WHERE sessions.key < ? AND (sessions.closed IS NOT NULL OR sessions.key < ?) ${ofUser}
     ORDER BY sessions.key DESC LIMIT ?`,
    before,
    bootIndex,
    ...values,
    limit + 1,
  );
  return page(rows, limit, viewSession);
}

export function findSession(query: Query, id: SessionId): SessionView | undefined {
  const row = query.get<SessionRow>(`SELECT ${SESSION_COLUMNS} WHERE sessions.id = ?`, idBytes(id));
  return row === undefined ? undefined : viewSession(row);
}

function page<R extends { readonly key: number }, T>(
  rows: readonly R[],
  limit: number,
  toView: (row: R) => T,
): Page<T> {
  const shown = rows.slice(0, limit);
  return { items: shown.map(toView), next: rows.length > limit ? String(shown.at(-1)?.key) : undefined };
}

const nameKey = (query: Query, name: string): number | undefined =>
  query.get<{ key: number }>("SELECT key FROM names WHERE name = ?", name)?.key;
const sessionKey = (query: Query, id: SessionId): number | undefined =>
  query.get<{ key: number }>("SELECT key FROM sessions WHERE id = ?", idBytes(id))?.key;
