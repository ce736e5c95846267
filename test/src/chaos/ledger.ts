import type { Exported, ExportedRecord } from "../world/log.ts";
import type { Received } from "./traffic.ts";

/**
 * Compares what clients were given with what the log holds. Nothing that was delivered may be missing, and nothing may
 * stand in the log that cannot have come about.
 * @returns what is wrong; empty: nothing
 */
export function compare(received: readonly Received[], { records, indexes, payloads }: Exported): string[] {
  const wrong: string[] = [];
  const byCall = new Map<string, string[]>();
  for (const { call, type } of records) {
    if (call !== undefined && type.startsWith("call.")) byCall.set(call, [...(byCall.get(call) ?? []), type]);
  }
  for (const { call, status, bytes, whole } of received) {
    if (call === "") continue;
    const types = (byCall.get(call) ?? []).join(" ");
    const stored = payloads.get(`${call} delivered`) ?? Buffer.alloc(0);
    const say = (what: string): void =>
      void wrong.push(
        `${call} (${status}, ${bytes.length} bytes${whole ? ", whole" : ""}): ${what}; ${types}, ${stored.length} bytes`,
      );
    if (!stored.subarray(0, bytes.length).equals(bytes)) say("what was delivered is not in the vault");
    if (whole && types !== "call.decided call.answered") say("a whole answer is not told as one");
    if (whole && stored.length !== bytes.length) say("the vault holds another answer");
    // The last bytes may be durable when the process dies before it could send them.
    if (!whole && !/^call\.decided call\.(answered|interrupted)$/.test(types)) say("a broken answer has no end");
  }
  for (const [call, types] of byCall) {
    if (types.length !== 2 || types[0] !== "call.decided") wrong.push(`${call} is told as ${types.join(" ")}`);
  }
  return [...wrong, ...sequences(records, indexes)];
}

/** Indexes follow one another; each process's numbers begin at 0 and have no gap. */
function sequences(records: readonly ExportedRecord[], indexes: readonly number[]): string[] {
  const wrong: string[] = [];
  indexes.forEach((index, position) => {
    if (index !== (indexes[0] as number) + position) wrong.push(`record ${index} stands at ${position}`);
  });
  const next = new Map<string, number>();
  for (const record of records) {
    const { boot, n } = record.src as { readonly boot: string; readonly n: number };
    const expected = next.get(boot);
    // The first that is seen of the process that ran when the range began may be any.
    if (expected === undefined ? n !== 0 && next.size > 0 : n !== expected)
      wrong.push(`boot ${boot}: ${n} after ${expected}`);
    next.set(boot, n + 1);
  }
  return wrong;
}
