import { z } from "zod";
import { type CallView, callViewSchema, type SessionView, sessionViewSchema } from "./control-api.ts";
import { type CallId, isCallId } from "./ids.ts";

/** The payloads of a call that a replay shows: what was asked, and what the client got. */
export type ReplayedField = "query" | "request" | "delivered";
export const REPLAYED_FIELDS: readonly ReplayedField[] = ["query", "request", "delivered"];

/** Bytes of one piece, at most. */
export const MAX_REPLAY_PIECE_BYTES: number = 48 * 1024;

/**
 * One line of `GET /api/v1/audit/sessions/:id/replay`: the session, then each of its calls in the order in which they
 * were decided, each followed by the pieces of its payloads.
 */
export type ReplayLine =
  | { readonly session: SessionView }
  | {
      readonly call: CallView;
      /** Absent while the call runs. */
      readonly endedAt?: string;
      /** What is kept of it. `complete`: the commitment in the log covers exactly these bytes. */
      readonly payloads: readonly { readonly field: string; readonly bytes: number; readonly complete: boolean }[];
      /** The log commits to these, and they are kept no more. */
      readonly gone: readonly string[];
    }
  | {
      readonly piece: {
        readonly call: CallId;
        readonly field: ReplayedField;
        /** Milliseconds since the call was decided. */
        readonly offsetMs: number;
        /** base64 */
        readonly data: string;
      };
    };

const callId = z.custom<CallId>(isCallId, "not a call id");
const count = z.number().int().nonnegative();

export const replayLineSchema: z.ZodType<ReplayLine> = z.union([
  z.object({
    piece: z.object({
      call: callId,
      field: z.enum(["query", "request", "delivered"]),
      offsetMs: count,
      data: z.base64(),
    }),
  }),
  z.object({
    call: callViewSchema,
    endedAt: z.string().exactOptional(),
    payloads: z.array(z.object({ field: z.string(), bytes: count, complete: z.boolean() })),
    gone: z.array(z.string()),
  }),
  z.object({ session: sessionViewSchema }),
]);

/** `POST /api/v1/audit/calls/:id/reissues`: that call's request was sent again, and became `again`. */
export interface ReissueReport {
  readonly again: CallId;
}
export const reissueReportSchema: z.ZodType<ReissueReport> = z.object({ again: callId });

/** What the log now says of it. */
export interface Reissued {
  readonly of: CallId;
  readonly again: CallId;
  /** How policy decided this time. */
  readonly verdict: CallView["verdict"];
}
export const reissuedSchema: z.ZodType<Reissued> = z.object({
  of: callId,
  again: callId,
  verdict: z.enum(["allow", "hold", "block"]),
});
