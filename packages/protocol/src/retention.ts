import { z } from "zod";
import { type CallId, type HoldId, isCallId, isHoldId, isSessionId, type SessionId } from "./ids.ts";
import type { RetentionClass } from "./record.ts";

/**
 * How long payloads are kept, and what keeps them longer: the part of the control API that is about it
 * (`/api/v1/retention…`, listed in control-api.ts).
 */

/**
 * `complete`: the commitment in the log covers exactly the bytes that are kept. `cut`: it does not: the call was cut off, or
 * is still running. `purged`: destroyed when its time was over; the log has the record. `missing`: the log commits to it, it is
 * not kept, and no record says why.
 */
export type PayloadState = "complete" | "cut" | "purged" | "missing";
export const payloadStateSchema: z.ZodType<PayloadState> = z.enum(["complete", "cut", "purged", "missing"]);

/** Whether there are bytes to read. */
export const isKept = (state: PayloadState): boolean => state === "complete" || state === "cut";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();
const holdId = z.custom<HoldId>(isHoldId, "not a hold's id");
const retentionClass: z.ZodType<RetentionClass> = z.enum(["default", "heldOrBlocked"]);

export interface PayloadTally {
  readonly calls: number;
  readonly payloads: number;
  readonly bytes: number;
}
const tally = z.object({ calls: count, payloads: count, bytes: count });

/** A class and month whose time is over, as a purge would find it now. */
export interface MonthPlan {
  readonly class: RetentionClass;
  /** RFC 3339: calls decided in [from, to), a month of UTC. */
  readonly from: string;
  readonly to: string;
  readonly destroyed: PayloadTally;
  /** What holds keep of it. */
  readonly held: PayloadTally;
  /** The holds that keep something of it. */
  readonly holds: readonly HoldId[];
  /** Calls that have not ended: as long as there is one, a purge leaves the month alone. */
  readonly running: number;
}

export interface RetentionPlan {
  /** Oldest first; without what is gone already. */
  readonly months: readonly MonthPlan[];
}
export const retentionPlanSchema: z.ZodType<RetentionPlan> = z.object({
  months: z.array(
    z.object({
      class: retentionClass,
      from: time,
      to: time,
      destroyed: tally,
      held: tally,
      holds: z.array(holdId),
      running: count,
    }),
  ),
});

/** What was destroyed of one class and month: the retention.purged record, and where it stands in the log. */
export interface PurgedMonth {
  readonly class: RetentionClass;
  readonly from: string;
  readonly to: string;
  readonly count: number;
  /** RFC 6962 root, base64: see the record. */
  readonly root: string;
  readonly record: number;
}

/**
 * A line of an answer that takes its time: signs of life, then what was found (RetentionPlan) or done, or why it could not
 * go on.
 */
export type WorkLine<T> =
  | { readonly working: true }
  | { readonly done: T }
  | { readonly error: { readonly code: string; readonly message: string; readonly hint?: string } };
export const workLineSchema = <T>(done: z.ZodType<T>): z.ZodType<WorkLine<T>> =>
  z.union([
    z.object({ working: z.literal(true) }),
    z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() }) }),
    z.object({ done }),
  ]);

export interface PurgeReport {
  readonly purged: readonly PurgedMonth[];
}
export const purgeReportSchema: z.ZodType<PurgeReport> = z.object({
  purged: z.array(
    z.object({
      class: retentionClass,
      from: time,
      to: time,
      count,
      root: z.base64().length(44),
      record: count,
    }),
  ),
});

/** Which calls a hold keeps: those that all of these fit. At least one is given; times are of the call's decision. */
export interface HoldFilters {
  readonly user?: string;
  readonly connection?: string;
  readonly session?: SessionId;
  readonly call?: CallId;
  /** RFC 3339, UTC. */
  readonly since?: string;
  readonly until?: string;
}
/** What a record can hold: no control characters, no half surrogate pairs. */
const text = (max: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u);
const filters = z.strictObject({
  user: text(256).exactOptional(),
  connection: text(256).exactOptional(),
  session: z.custom<SessionId>(isSessionId, "not a session id").exactOptional(),
  call: z.custom<CallId>(isCallId, "not a call id").exactOptional(),
  since: time.exactOptional(),
  until: time.exactOptional(),
});

export interface HoldRequest {
  readonly reason: string;
  readonly filters: HoldFilters;
}
export const holdRequestSchema: z.ZodType<HoldRequest> = z.strictObject({
  reason: text(1_024),
  filters: filters.refine((given) => Object.keys(given).length > 0, "a hold of everything would keep everything"),
});

export interface HoldView {
  readonly id: HoldId;
  readonly placedAt: string;
  readonly by: string;
  readonly reason: string;
  readonly filters: HoldFilters;
  readonly released?: { readonly at: string; readonly by: string; readonly reason: string };
}
const holdView = z.object({
  id: holdId,
  placedAt: time,
  by: z.string(),
  reason: z.string(),
  filters,
  released: z.object({ at: time, by: z.string(), reason: z.string() }).exactOptional(),
});
export const holdViewSchema: z.ZodType<HoldView> = holdView;

/** A hold that was just placed. `calls`: recorded calls that it fits, counted up to MAX_COUNTED_CALLS. */
export interface PlacedHold {
  readonly hold: HoldView;
  readonly calls: number;
}
export const MAX_COUNTED_CALLS = 1_000;
export const placedHoldSchema: z.ZodType<PlacedHold> = z.object({ hold: holdView, calls: count });

export interface HoldList {
  readonly holds: readonly HoldView[];
}
export const holdListSchema: z.ZodType<HoldList> = z.object({ holds: z.array(holdView) });
