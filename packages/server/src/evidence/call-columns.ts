import type { RecordedCall } from "./port.ts";

/** What a table says of a call, in this order: those of an export, and calls.csv of a bundle. */
export const CALL_COLUMNS: readonly (keyof RecordedCall)[] = [
  "id",
  "time",
  "endedAt",
  "user",
  "connection",
  "session",
  "method",
  "path",
  "kind",
  "model",
  "rows",
  "verdict",
  "rule",
  "status",
  "durationMs",
  "requestBytes",
  "deliveredBytes",
  "outcome",
  "code",
];
