import { HoopishError, isSessionId, type SessionView, sessionListSchema, sessionViewSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import type { ApiClient } from "../http/api-client.ts";
import { details, table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";

export interface SessionListOptions {
  readonly state: "live" | "past" | "all";
  readonly limit?: number;
  readonly cursor?: string;
}

export async function listSessions(context: Context, options: SessionListOptions): Promise<void> {
  const { state, limit, cursor } = options;
  const list = await (await observed(context)).get("/api/v1/sessions", sessionListSchema, { state, limit, cursor });
  context.output.show(list, (safe, style) => [
    ...table(
      ["SESSION", "USER", "CONNECTION", "STATE", "OPENED", "CALLS", "HOST"],
      safe.sessions.map((session) => [
        { text: session.id, paint: style.strong },
        session.user,
        session.connection,
        session.state === "live" ? { text: "live", paint: style.good } : (session.closeReason ?? "closed"),
        formatTime(session.openedAt),
        String(session.calls),
        session.host,
      ]),
      style,
      "No sessions.",
    ),
    ...(safe.next === undefined ? [] : [style.faint(`more: --cursor ${safe.next}`)]),
  ]);
}

export async function showSession(context: Context, id: string): Promise<void> {
  const path = `/api/v1/sessions/${sessionId(id)}`;
  const session = await (await observed(context)).get(path, sessionViewSchema);
  context.output.show(session, sessionLines);
}

/** Ends a session wherever it runs. `reason` is in the record of its close. */
export async function killSession(context: Context, id: string, reason: string | undefined): Promise<void> {
  const path = `/api/v1/sessions/${sessionId(id)}`;
  const session = await (await context.api()).delete(path, sessionViewSchema, { reason });
  context.output.show(session, (safe, style) => [`${style.good("✓")} Session ${safe.id} of ${safe.user} is closed`]);
}

/** Not before a session is ended: that is done at once, whatever the log says. */
async function observed(context: Context): Promise<ApiClient> {
  const api = await context.api();
  await observeCheckpoint(context, api);
  return api;
}

function sessionLines(session: SessionView, style: Parameters<typeof details>[1]): readonly string[] {
  return details(
    [
      ["session", style.strong(session.id)],
      ["user", session.user],
      ["connection", session.connection],
      ["state", session.state === "live" ? style.good("live") : "closed"],
      ["opened", formatTime(session.openedAt)],
      ["expires", formatTime(session.expiresAt)],
      ["closed", formatTime(session.closedAt)],
      ["why closed", session.closeReason],
      ["reason", session.reason],
      ["ticket", session.ticket],
      ["host", session.host],
      ["client", session.client],
      ["calls", String(session.calls)],
      ["in flight", session.inFlight === undefined ? undefined : String(session.inFlight)],
    ],
    style,
  );
}

/** Checked here, since it becomes part of a path. */
function sessionId(text: string): string {
  if (isSessionId(text)) return text;
  throw new HoopishError("usage", `"${text}" is not a session's id`, {
    hint: "hoopish sessions list shows them: ses_ and 32 hexadecimal digits",
  });
}
