import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";
import { GZIP_HEADER, gzipSeal, gzipTrailer } from "@hoopish/protocol/bundle";

/** What is packed at once. The cuts are part of the bytes that come out: never change it between two parts of an export. */
const SEGMENT_BYTES = 256 * 1024;
/** Segments that are packed while others are on their way out. */
const AHEAD = 2;
/** An empty last block of deflate (RFC 1951 §3.2.3). */
const LAST_BLOCK = Buffer.from("0300", "hex");

const deflate = promisify(deflateRaw);

/** Bytes for gzip; `packed`: they are compressed already, and only put into a frame. */
export interface Part {
  readonly bytes: Uint8Array;
  readonly packed: boolean;
}

interface Segment {
  readonly bytes: Buffer;
  readonly packed: boolean;
}

/**
 * gzip (RFC 1952) whose bytes depend on the content alone: the header is fixed, and every segment is deflated for itself
 * and ends on a whole byte, so that it does not matter in which pieces the content comes.
 * @param seal with the closing member of an archive (protocol/src/bundle/gzip.ts)
 */
export async function* pack(parts: AsyncIterable<Part>, { seal }: { readonly seal: boolean }): AsyncGenerator<Buffer> {
  const sum = seal ? createHash("sha256") : undefined;
  let crc = 0;
  let length = 0;
  sum?.update(GZIP_HEADER);
  yield GZIP_HEADER;
  const running: Promise<Buffer>[] = [];
  for await (const { bytes, packed } of segments(parts)) {
    crc = crc32(bytes, crc);
    length += bytes.length;
    running.push(deflateSegment(bytes, packed));
    if (running.length <= AHEAD) continue;
    const out = await (running.shift() as Promise<Buffer>);
    sum?.update(out);
    yield out;
  }
  for (const rest of running) {
    const out = await rest;
    sum?.update(out);
    yield out;
  }
  const end = Buffer.concat([LAST_BLOCK, gzipTrailer(crc, length)]);
  yield end;
  if (sum !== undefined) yield gzipSeal(sum.update(end).digest());
}

function deflateSegment(bytes: Buffer, packed: boolean): Promise<Buffer> {
  const level = packed ? 0 : 6;
  const packing = deflate(bytes, { level, finishFlush: constants.Z_SYNC_FLUSH });
  // Awaited later, in order; until then a failure must not count as unhandled.
  packing.catch(() => {});
  return packing;
}

/** Cuts what comes into segments: at every 256 KiB of one kind, and where the kind changes. */
async function* segments(parts: AsyncIterable<Part>): AsyncGenerator<Segment> {
  let waiting: Uint8Array[] = [];
  let room = SEGMENT_BYTES;
  let packed = false;
  for await (const part of parts) {
    if (part.packed !== packed && waiting.length > 0) {
      yield { bytes: Buffer.concat(waiting), packed };
      waiting = [];
      room = SEGMENT_BYTES;
    }
    packed = part.packed;
    for (let bytes = part.bytes; bytes.byteLength > 0; ) {
      const taken = bytes.subarray(0, room);
      waiting.push(taken);
      room -= taken.byteLength;
      bytes = bytes.subarray(taken.byteLength);
      if (room > 0) continue;
      yield { bytes: Buffer.concat(waiting), packed };
      waiting = [];
      room = SEGMENT_BYTES;
    }
  }
  if (waiting.length > 0) yield { bytes: Buffer.concat(waiting), packed };
}
