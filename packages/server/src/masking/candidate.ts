import type { PiiType } from "./types.ts";

/** What a detector says of a place: nothing there; a match; or that more text must be seen before it can say. */
export const NONE = 0;
export const MATCH = 1;
export const HOLD = 2;
export type Answer = typeof NONE | typeof MATCH | typeof HOLD;

/** What follows a value that is known by its beginning, and belongs to it. */
export type Swallow = "domain" | "token" | "pem";

/**
 * A text that is looked at, and what was found in it. What was decided before stands in it to be looked back
 * at. Reused for each text: it is the scanner's inner loop.
 */
export interface View {
  text: string;
  /** What belongs to this text begins here; before it stands what was before it elsewhere, for context alone. */
  low: number;
  /** The last match ended here: no other one begins before it. */
  floor: number;
  high: number;
  /** The text ends at `high`: nothing follows. */
  final: boolean;
}

/** A match, as a detector leaves it. */
export interface Found {
  type: PiiType;
  start: number;
  end: number;
  swallow: Swallow | undefined;
}
