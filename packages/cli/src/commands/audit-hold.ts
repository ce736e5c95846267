import {
  type HoldFilters,
  type HoldView,
  HoopishError,
  holdListSchema,
  holdViewSchema,
  isCallId,
  isHoldId,
  isSessionId,
  MAX_COUNTED_CALLS,
  placedHoldSchema,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { Style } from "../terminal/style.ts";
import { table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export interface AuditHoldOptions {
  readonly reason?: string;
  readonly user?: string;
  readonly connection?: string;
  readonly session?: string;
  readonly call?: string;
  readonly since?: string;
  readonly until?: string;
  readonly list?: boolean;
  readonly all?: boolean;
}

/** Keeps calls' payloads beyond their time; with --list, the holds that stand. */
export async function auditHold(context: Context, options: AuditHoldOptions): Promise<void> {
  const { reason } = options;
  const filters = filtersOf(options, context);
  if (options.list) {
    if (reason !== undefined || Object.keys(filters).length > 0) {
      throw new HoopishError("usage", "--list shows holds and places none", { hint: "one of the two" });
    }
    return listHolds(context, options.all ?? false);
  }
  if (reason === undefined) {
    throw new HoopishError("usage", "a hold needs --reason: it is recorded", { hint: "--reason 'Case 2026-114'" });
  }
  if (Object.keys(filters).length === 0) {
    throw new HoopishError("usage", "a hold of everything would keep everything", {
      hint: "--user, --connection, --session, --call, --since, --until: what fits all that are given is kept",
    });
  }
  const api = await context.api();
  const placed = await api.post("/api/v1/retention/holds", { reason, filters }, placedHoldSchema);
  context.output.show(placed, ({ hold, calls }, style) => [
    `${style.good("✓")} ${style.strong(hold.id)} keeps what ${filterText(hold.filters)}`,
    calls === 0
      ? style.odd("No recorded call fits yet: is every name right?")
      : `${calls}${calls === MAX_COUNTED_CALLS ? " or more" : ""} recorded calls fit; later ones will too.`,
  ]);
}

async function listHolds(context: Context, all: boolean): Promise<void> {
  const api = await context.api();
  const list = await api.get("/api/v1/retention/holds", holdListSchema, { state: all ? "all" : "active" });
  context.output.show(list, (safe, style) =>
    table(
      ["HOLD", "PLACED", "BY", "KEEPS WHAT", "REASON", ...(all ? ["RELEASED"] : [])],
      safe.holds.map((hold) => [
        { text: hold.id, paint: style.strong },
        formatTime(hold.placedAt),
        hold.by,
        filterText(hold.filters),
        hold.reason,
        ...(all ? [releasedText(hold, style)] : []),
      ]),
      style,
      all ? "No holds." : "No holds stand.",
    ),
  );
}

function releasedText({ released }: HoldView, style: Style): { readonly text: string; readonly paint: Style["odd"] } {
  if (released === undefined) return { text: "stands", paint: style.good };
  return { text: `${formatTime(released.at)} by ${released.by}: ${released.reason}`, paint: style.faint };
}

/** Ends a hold: what it alone kept goes with the next purge. */
export async function auditRelease(context: Context, id: string, reason: string): Promise<void> {
  if (!isHoldId(id)) {
    throw new HoopishError("usage", `"${id}" is not a hold's id`, {
      hint: "hoopish audit hold --list shows them: hold_ and 32 hexadecimal digits",
    });
  }
  const hold = await (await context.api()).delete(`/api/v1/retention/holds/${id}`, holdViewSchema, { reason });
  context.output.show(hold, (safe, style) => [
    `${style.good("✓")} Hold ${safe.id} is released; what it alone kept goes with the next purge`,
  ]);
}

function filtersOf(options: AuditHoldOptions, context: Context): HoldFilters {
  const { user, connection, session, call } = options;
  const wrong = (what: string, hint: string): HoopishError => new HoopishError("usage", what, { hint });
  if (session !== undefined && !isSessionId(session)) {
    throw wrong(`"${session}" is not a session's id`, "hoopish sessions list --state all shows them");
  }
  if (call !== undefined && !isCallId(call)) {
    throw wrong(`"${call}" is not a call's id`, "hoopish audit list shows them");
  }
  const [since, until] = [apiTime(options.since, context), apiTime(options.until, context)];
  return {
    ...(user !== undefined && { user }),
    ...(connection !== undefined && { connection }),
    ...(session !== undefined && { session }),
    ...(call !== undefined && { call }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

const FILTER_WORDS: Readonly<Record<keyof HoldFilters, string>> = {
  user: "is of",
  connection: "went to",
  session: "is of",
  call: "is of",
  since: "was decided from",
  until: "was decided before",
};

const filterText = (filters: HoldFilters): string =>
  Object.entries(filters)
    .map(([name, value]) => `${FILTER_WORDS[name as keyof HoldFilters]} ${value}`)
    .join(" and ");
