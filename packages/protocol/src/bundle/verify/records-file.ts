import { MAX_RECORD_BYTES } from "../../record.ts";
import { BundleError } from "../bundle-error.ts";
import { gunzip } from "../gzip.ts";
import { CHUNK_RECORDS } from "../layout.ts";

const NEWLINE = 0x0a;

/**
 * Reads records/NNNNNN.jsonl.gz: at most 4,096 lines, each ended.
 * @param take gets each line where it stands in a larger buffer, without its newline; nothing is copied
 * @returns how many lines there were
 * @throws BundleError
 */
export async function readRecords(
  packed: AsyncIterable<Uint8Array>,
  take: (bytes: Buffer, from: number, to: number) => void,
): Promise<number> {
  let rest: Buffer = Buffer.alloc(0);
  let count = 0;
  for await (const part of gunzip(packed, { sealed: false, maxBytes: CHUNK_RECORDS * (MAX_RECORD_BYTES + 1) })) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to !== -1; to = bytes.indexOf(NEWLINE, from)) {
      if (++count > CHUNK_RECORDS) throw new BundleError("file_malformed", `it has more than ${CHUNK_RECORDS} records`);
      take(bytes, from, to);
      from = to + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MAX_RECORD_BYTES) throw new BundleError("file_malformed", "a record is larger than one may be");
  }
  if (rest.length > 0) throw new BundleError("file_malformed", "its last record has no end");
  return count;
}
