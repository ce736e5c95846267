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
  const lines = new Lines(take);
  for await (const part of gunzip(packed, { sealed: false, maxBytes: CHUNK_RECORDS * (MAX_RECORD_BYTES + 1) })) {
    lines.push(part);
  }
  return lines.end();
}

/** Only the line that goes over the end of a part is put together; the others are taken where they are. */
class Lines {
  readonly #take: (bytes: Buffer, from: number, to: number) => void;
  #rest: Buffer = Buffer.alloc(0);
  #count = 0;

  constructor(take: (bytes: Buffer, from: number, to: number) => void) {
    this.#take = take;
  }

  push(part: Buffer): void {
    let from = 0;
    for (let to = part.indexOf(NEWLINE); to !== -1; to = part.indexOf(NEWLINE, from)) {
      if (++this.#count > CHUNK_RECORDS) {
        throw new BundleError("file_malformed", `it has more than ${CHUNK_RECORDS} records`);
      }
      if (this.#rest.length === 0) {
        this.#take(part, from, to);
      } else {
        const line = Buffer.concat([this.#rest, part.subarray(from, to)]);
        this.#rest = NOTHING;
        this.#take(line, 0, line.length);
      }
      from = to + 1;
    }
    // Copied: a part is large, and need not be kept for the sake of its last line.
    this.#rest = Buffer.concat([this.#rest, part.subarray(from)]);
    if (this.#rest.length > MAX_RECORD_BYTES) {
      throw new BundleError("file_malformed", "a record is larger than one may be");
    }
  }

  end(): number {
    if (this.#rest.length > 0) throw new BundleError("file_malformed", "its last record has no end");
    return this.#count;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
