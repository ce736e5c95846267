import { ACTOR_COLUMNS, column, recordTable } from "./table.ts";
import type { View } from "./view.ts";

/**
 * `views/access.csv`: who came in, who was refused, which sessions were open from when to when, who was locked out, and
 * which agents joined and served.
 */
export const accessTable = (): View =>
  recordTable(
    ["auth", "session", "lock", "agent"],
    [
      column("time"),
      column("type"),
      ...ACTOR_COLUMNS,
      column("session"),
      column("connection"),
      column("rule"),
      column("agent"),
      column("agentName", "name"),
      column("instance"),
      column("host"),
      column("client"),
      column("reason"),
      column("ticket"),
      column("code"),
      column("count"),
      column("calls"),
      column("expires"),
      column("by"),
    ],
  );

/** `views/approvals.csv`: what was held, and who decided. Empty as long as the log has no approvals. */
export const approvalTable = (): View =>
  recordTable(
    ["approval"],
    [
      column("time"),
      column("type"),
      column("approval"),
      ...ACTOR_COLUMNS,
      column("session"),
      column("call"),
      column("connection"),
      column("rule"),
      column("reason"),
      column("scope"),
      column("quorum"),
      column("expires"),
      column("by"),
    ],
  );
