import type { RecordType, StoredRecord } from "@hoopish/protocol";
import type { EvidenceReader } from "./port.ts";

const PAGE = 1_000;

/**
 * Records of some types, oldest first: all that there are, or those after the record `after`, an index in the log.
 * The log is read backwards, so that what it costs is what is found and not what the log holds.
 */
export async function recordsOfTypes(
  reader: Pick<EvidenceReader, "search">,
  types: readonly RecordType[],
  after = -1,
): Promise<{ readonly index: number; readonly record: StoredRecord }[]> {
  const anybody = { user: undefined, connection: undefined, session: undefined, call: undefined };
  const filter = { types, ...anybody, sinceMs: undefined, untilMs: undefined };
  const found: { index: number; record: StoredRecord }[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.search(filter, PAGE, cursor);
    for (const { index, leaf } of page.items) {
      if (index <= after) return found.reverse();
      found.push({ index, record: JSON.parse(leaf) as StoredRecord });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return found.reverse();
}
