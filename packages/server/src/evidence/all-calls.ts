import type { CallFilter } from "./port.ts";

/** Leaves nothing out; with some members replaced, a filter by those alone. */
export const ALL_CALLS: CallFilter = {
  sinceMs: undefined,
  untilMs: undefined,
  user: undefined,
  connection: undefined,
  session: undefined,
  verdict: undefined,
};
