import { HoopishError, isCallId, isSessionId, recordListSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import type { Style } from "../terminal/style.ts";
import { type Cell, table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export interface AuditSearchOptions {
  readonly type?: readonly string[];
  readonly user?: string;
  readonly connection?: string;
  readonly session?: string;
  readonly call?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** A record, and its exact text as it stands in the log. */
interface Found {
  readonly index: number;
  readonly leaf: string;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Records of every type, newest first: who signed in, who read what, what was purged, and the calls. */
export async function auditSearch(context: Context, options: AuditSearchOptions): Promise<void> {
  const { type, since, until, session, call, ...rest } = options;
  if (session !== undefined && !isSessionId(session)) throw noId(session, "a session's", "sessions list");
  if (call !== undefined && !isCallId(call)) throw noId(call, "a call's", "audit list");
  const query = {
    ...rest,
    type: type?.join(","),
    session,
    call,
    since: apiTime(since, context),
    until: apiTime(until, context),
  };
  const api = await context.api();
  await observeCheckpoint(context, api);
  const { records, next } = await api.get("/api/v1/audit/records", recordListSchema, query);
  const found = records.map(({ index, leaf }): Found => ({ index, leaf, record: parseLeaf(leaf) }));
  context.output.show({ records: found, ...(next !== undefined && { next }) }, (safe, style) => [
    ...table(
      ["TIME", "RECORD", "TYPE", "USER", "CALL OR SESSION", "WHAT"],
      safe.records.map((one) => row(one, style)),
      style,
      "No records.",
    ),
    ...(safe.next === undefined ? [] : [style.faint(`more: --cursor ${safe.next}`)]),
  ]);
}

function row({ index, record }: Found, style: Style): (string | Cell)[] {
  const { type, time, actor, call, session } = record;
  return [
    formatTime(text(time)),
    String(index),
    { text: text(type), paint: style.strong },
    text((actor as { readonly name?: unknown } | undefined)?.name),
    text(call ?? session),
    shortened(about(record)),
  ];
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Shown in columns of their own, or of use to a verifier alone. */
const ELSEWHERE = new Set([
  "v",
  "id",
  "src",
  "type",
  "time",
  "actor",
  "call",
  "session",
  "payloads",
  "policy",
  "config",
]);

function about(record: Readonly<Record<string, unknown>>): string {
  return Object.entries(record)
    .filter(([name]) => !ELSEWHERE.has(name))
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(" ");
}

const MOST = 160;
const shortened = (line: string): string => (line.length <= MOST ? line : `${line.slice(0, MOST - 1).toWellFormed()}…`);

/** What a server calls a record is shown, whatever it is. */
function parseLeaf(leaf: string): Found["record"] {
  try {
    const parsed: unknown = JSON.parse(leaf);
    return typeof parsed === "object" && parsed !== null ? (parsed as Found["record"]) : {};
  } catch {
    return {};
  }
}

function noId(given: string, whose: string, lister: string): HoopishError {
  return new HoopishError("usage", `"${given}" is not ${whose} id`, { hint: `hoopish ${lister} shows them` });
}
