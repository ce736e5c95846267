import type { BegunCall, Entry, SessionFacts } from "./entry.ts";

/** Text that is derived from the log, and can be derived again by whoever has the records. */
export interface View {
  /** What stands before everything else; "" for nothing. */
  readonly head: string;
  /** What one record adds; "" for nothing. */
  add(entry: Entry): string;
  /** What is left to say of a call that had not ended when the records did. */
  addOpen(call: BegunCall, session: SessionFacts | undefined): string;
}
