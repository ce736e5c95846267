import { CALL_COLUMNS } from "../call-columns.ts";
import { type CsvValue, csvLine } from "../csv.ts";
import type { RecordedCall } from "../port.ts";
import type { BegunCall, EndedCall, Entry, SessionFacts } from "./entry.ts";
import { type Ended, endOf, recordedCall } from "./lists.ts";
import type { View } from "./view.ts";

interface Row {
  /** The record that ended the call; of a call that is open, the one that decided it. */
  readonly index: number;
  readonly leafHash: string;
  readonly call: Partial<RecordedCall>;
  readonly begun: BegunCall | undefined;
  readonly ended: Ended | undefined;
  readonly session: SessionFacts | undefined;
}

const COLUMNS: readonly (readonly [name: string, value: (row: Row) => CsvValue])[] = [
  ["index", ({ index }) => index],
  ["leafHash", ({ leafHash }) => leafHash],
  ["decidedIndex", ({ begun }) => begun?.index],
  ["decidedLeafHash", ({ begun }) => begun?.leafHash],
  ...CALL_COLUMNS.map((name) => [name, ({ call }: Row) => call[name]] as const),
  ["inputTokens", ({ ended }) => (ended?.type === "call.answered" ? ended.tokens?.input : undefined)],
  ["outputTokens", ({ ended }) => (ended?.type === "call.answered" ? ended.tokens?.output : undefined)],
  ["maskedInRequest", ({ begun }) => maskedCount(begun?.decided.masked)],
  ["maskedInAnswer", ({ ended }) => (ended?.type === "call.answered" ? maskedCount(ended.masked) : undefined)],
  ["agent", ({ ended }) => (ended?.type === "call.answered" ? ended.agent : undefined)],
  ["policy", ({ begun }) => begun?.decided.policy],
  ["host", ({ session }) => session?.host],
  ["reason", ({ session }) => session?.reason],
  ["ticket", ({ session }) => session?.ticket],
];

/**
 * `views/calls.csv`: one row a call, where its end stands in the log; calls that have not ended come last, with outcome
 * `open`. Of a call that was decided before the first record, what its last record tells.
 */
export const callTable = (): View => ({
  head: csvLine(COLUMNS.map(([name]) => name)),
  add: (entry) => (entry.call === undefined ? "" : line(endedRow(entry, entry.call))),
  addOpen: (begun, session) => line(openRow(begun, session)),
});

const line = (row: Row): string => csvLine(COLUMNS.map(([, value]) => value(row)));

function endedRow({ index, leafHash }: Entry, { ended, begun, session }: EndedCall): Row {
  const call = begun === undefined ? lateCall(ended) : recordedCall(begun.decided, ended);
  return { index, leafHash, call, begun, ended, session };
}

function openRow(begun: BegunCall, session: SessionFacts | undefined): Row {
  const call = { ...recordedCall(begun.decided, undefined), outcome: "open" };
  return { index: begun.index, leafHash: begun.leafHash, call, begun, ended: undefined, session };
}

function lateCall(ended: Ended): Partial<RecordedCall> {
  return {
    id: ended.call as RecordedCall["id"],
    user: ended.actor?.name ?? "",
    connection: ended.connection,
    session: ended.session as RecordedCall["session"],
    ...endOf(ended),
  };
}

function maskedCount(masked: Readonly<Record<string, number>> | undefined): number | undefined {
  return masked === undefined ? undefined : Object.values(masked).reduce((sum, count) => sum + count, 0);
}
