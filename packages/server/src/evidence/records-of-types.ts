import type { RecordType, SessionId, StoredRecord } from "@hoopish/protocol";
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

/** Records of one type of one session, oldest first; at most a page. */
export async function recordsOfSession<T extends RecordType>(
  reader: Pick<EvidenceReader, "search">,
  session: SessionId,
  type: T,
): Promise<(StoredRecord & { readonly type: T })[]> {
  const anything = { user: undefined, connection: undefined, call: undefined, sinceMs: undefined, untilMs: undefined };
  const page = await reader.search({ types: [type], session, ...anything }, PAGE, undefined);
  return page.items.map(({ leaf }) => JSON.parse(leaf) as StoredRecord & { readonly type: T }).reverse();
}
