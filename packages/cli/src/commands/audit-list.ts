import { type CallView, callListSchema, parseTimeMs } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import type { Style } from "../terminal/style.ts";
import { type Cell, table } from "../terminal/table.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";

export interface AuditListOptions {
  readonly since?: string;
  readonly until?: string;
  readonly user?: string;
  readonly connection?: string;
  readonly session?: string;
  readonly verdict?: "allow" | "hold" | "block";
  readonly limit?: number;
  readonly cursor?: string;
}

/** Calls, newest first as the server gives them: own ones, or everybody's for auditors. */
export async function auditList(context: Context, options: AuditListOptions): Promise<void> {
  const { since, until, ...rest } = options;
  const query = { ...rest, since: apiTime(since, context), until: apiTime(until, context) };
  const api = await context.api();
  await observeCheckpoint(context, api);
  const list = await api.get("/api/v1/audit/calls", callListSchema, query);
  context.output.show(list, (safe, style) => [
    ...table(
      ["TIME", "CALL", "USER", "CONNECTION", "VERDICT", "STATUS", "MS", "BYTES", "KIND", "REQUEST"],
      safe.calls.map((call) => row(call, style)),
      style,
      "No calls.",
    ),
    ...(safe.next === undefined ? [] : [style.faint(`more: --cursor ${safe.next}`)]),
  ]);
}

/** `24h` or RFC 3339 → RFC 3339. @throws HoopishError usage */
export function apiTime(text: string | undefined, context: Context): string | undefined {
  return text === undefined ? undefined : new Date(parseTimeMs(text, context.world.now())).toISOString();
}

function row(call: CallView, style: Style): (string | Cell)[] {
  const bytes = call.deliveredBytes;
  return [
    formatTime(call.time),
    { text: call.id, paint: style.strong },
    call.user,
    call.connection,
    verdictCell(call.verdict, style),
    call.status === undefined ? "open" : String(call.status),
    call.durationMs === undefined ? "" : String(call.durationMs),
    bytes === undefined ? "" : formatBytes(bytes),
    call.model === undefined ? call.kind : `${call.kind} ${call.model}`,
    `${call.method} ${call.path}`,
  ];
}

export function verdictCell(verdict: CallView["verdict"], style: Style): Cell {
  const paint = { allow: style.good, hold: style.odd, block: style.bad }[verdict];
  return { text: verdict, paint };
}
