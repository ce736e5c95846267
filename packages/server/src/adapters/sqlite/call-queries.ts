import type { CallId, CallStory, HoldId, SessionId, SessionView } from "@hoopish/protocol";
import type { CallFilter, Page, RecordedCall } from "../../evidence/port.ts";
import { callView, sessionView } from "../../evidence/views/lists.ts";
import { idBytes } from "./keys.ts";
import { payloadViews } from "./payload-states.ts";
import type { Query } from "./query.ts";
import { activeHolds } from "./retention/holds.ts";
import { type HeldFacts, holdMatcher } from "./retention/month-calls.ts";
import { findCalls } from "./search/call-search.ts";
import type { VaultReader } from "./vault/vault-reader.ts";

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
  const keys = findCalls(query, filter, limit + 1, before(cursor));
  const items = keys.slice(0, limit).map((key) => {
    const row = query.get<CallRow>(`SELECT ${CALL_COLUMNS} WHERE calls.key = ?`, key);
    return view(row as CallRow);
  });
  return { items, next: keys.length > limit ? String(keys[limit - 1]) : undefined };
}

export function callStory(query: Query, vault: VaultReader, id: CallId): CallStory | undefined {
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
  const leaves = told.map(({ leaf }) => leaf);
  const { endedAt: _, ...call } = view(row);
  return { call, records: told, payloads: payloadViews(query, vault, row.key, leaves), holds: holdsOn(query, row.key) };
}

/** The holds that keep a call. */
function holdsOn(query: Query, key: number): readonly HoldId[] {
  const holds = activeHolds(query);
  if (holds.length === 0) return [];
  const facts = query.get<{ id: Uint8Array } & Omit<HeldFacts, "id">>(
    `SELECT calls.id AS id, time AS timeMs, session, user, connection
     FROM calls JOIN series ON series.key = calls.series WHERE calls.key = ?`,
    key,
  );
  if (facts === undefined) return [];
  const id = `call_${Buffer.from(facts.id).toString("hex")}` as CallId;
  return holdMatcher(query, holds)({ ...facts, id });
}

interface SessionRow {
  readonly key: number;
  readonly open: Uint8Array;
  readonly close: Uint8Array | null;
  readonly calls: number;
}

const SESSION_COLUMNS = `sessions.key AS key, open.leaf AS open, close.leaf AS close,
  iif(sessions.closed IS NULL, (SELECT count(*) FROM calls WHERE calls.session = sessions.id), 0) AS calls
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
  const past = "sessions.key < ? AND (sessions.closed IS NOT NULL OR sessions.key < ?)";
  const newest = "ORDER BY sessions.key DESC LIMIT ?";
  const rows =
    user === undefined
      ? query.all<SessionRow>(`SELECT ${SESSION_COLUMNS} WHERE ${past} ${newest}`, before(cursor), bootIndex, limit + 1)
      : query.all<SessionRow>(
          `SELECT ${SESSION_COLUMNS} WHERE sessions.user = (SELECT key FROM names WHERE name = ?) AND ${past} ${newest}`,
          user,
          before(cursor),
          bootIndex,
          limit + 1,
        );
  const shown = rows.slice(0, limit);
  return { items: shown.map(viewSession), next: rows.length > limit ? String(shown.at(-1)?.key) : undefined };
}

export function findSession(query: Query, id: SessionId): SessionView | undefined {
  const row = query.get<SessionRow>(`SELECT ${SESSION_COLUMNS} WHERE sessions.id = ?`, idBytes(id));
  return row === undefined ? undefined : viewSession(row);
}

const before = (cursor: string | undefined): number =>
  cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
