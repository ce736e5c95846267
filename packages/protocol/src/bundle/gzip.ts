import { createHash, type Hash } from "node:crypto";
import { crc32, createInflateRaw, type InflateRaw } from "node:zlib";
import { BundleError } from "./bundle-error.ts";
import { ByteReader } from "./byte-reader.ts";

/**
 * The one form of gzip (RFC 1952) that a bundle has: a fixed header, one member, and its trailer, which is checked.
 *
 * Many deflate streams unpack to the same bytes, so a changed bit may go unseen there. Therefore a second, empty member
 * closes the archive; its extra field (RFC 1952 §2.3.1.1, subfield "HS") holds the SHA-256 of all bytes before it. Every
 * gunzip passes over it. It makes no secret of anything and is no signature: it only leaves no byte without a meaning.
 */

/** Deflate, no flags, no time, no level, system unknown. */
export const GZIP_HEADER: Buffer = Buffer.from("1f8b08000000000000ff", "hex");
const SEAL_HEADER = Buffer.from("1f8b08040000000000ff240048532000", "hex");
/** An empty deflate stream, its CRC-32 and its length. */
const SEAL_END = Buffer.from("03000000000000000000", "hex");
const TRAILER_BYTES = 8;
const INFLATED_BYTES = 256 * 1024;

/** @param sha256 of all that stands before */
export const gzipSeal = (sha256: Uint8Array): Buffer => Buffer.concat([SEAL_HEADER, sha256, SEAL_END]);

const SEAL_BYTES = SEAL_HEADER.length + 32 + SEAL_END.length;

/** @param length bytes, of which gzip keeps the lowest 32 bits */
export function gzipTrailer(crc: number, length: number): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(crc >>> 0, 0);
  trailer.writeUInt32LE(length % 2 ** 32, 4);
  return trailer;
}

export interface GunzipOptions {
  /** A seal must follow. */
  readonly sealed: boolean;
  /** Most bytes that may come out. */
  readonly maxBytes?: number;
}

/**
 * Unpacks one member as it streams, in parts of at most 256 KiB.
 * @throws BundleError archive_malformed, archive_truncated, archive_trailing; the bytes given out before were unpacked
 * from bytes that were not checked yet
 */
export async function* gunzip(source: AsyncIterable<Uint8Array>, options: GunzipOptions): AsyncGenerator<Buffer> {
  const seal = options.sealed ? new SealCheck() : undefined;
  const input = new ByteReader(seal === undefined ? source : watched(source, seal));
  try {
    if (!(await input.exactly(GZIP_HEADER.length)).equals(GZIP_HEADER)) {
      throw new BundleError("archive_malformed", "not the gzip header that a bundle has");
    }
    let crc = 0;
    let length = 0;
    for await (const part of inflate(input)) {
      crc = crc32(part, crc);
      length += part.length;
      if (length > (options.maxBytes ?? Number.POSITIVE_INFINITY)) {
        throw new BundleError("archive_malformed", "more comes out of a gzip file than may be in it");
      }
      yield part;
    }
    if (!(await input.exactly(TRAILER_BYTES)).equals(gzipTrailer(crc, length))) {
      throw new BundleError("archive_malformed", "what gzip unpacked is not what was packed: its check value differs");
    }
    if (seal !== undefined) await readSeal(input, seal);
    if ((await input.some(1)) !== undefined) {
      throw new BundleError("archive_trailing", "there are bytes behind the end of gzip");
    }
  } finally {
    await input.close();
  }
}

/**
 * Looks whether bytes that stream by end with the seal over all that stands before it: whether nothing of an archive is
 * missing, and all of it is of one making. Unpacks nothing; of what is in the archive it says nothing.
 */
export class SealCheck {
  readonly #sum: Hash = createHash("sha256");
  /** The last bytes that came, which may be the seal: hashed when more have come. */
  #held: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    const part = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (part.length >= SEAL_BYTES) {
      this.#sum.update(this.#held);
      this.#sum.update(part.subarray(0, -SEAL_BYTES));
      this.#held = Buffer.from(part.subarray(-SEAL_BYTES));
    } else {
      const both = Buffer.concat([this.#held, part]);
      const settled = Math.max(0, both.length - SEAL_BYTES);
      this.#sum.update(both.subarray(0, settled));
      this.#held = both.subarray(settled);
    }
  }

  /** What came until now is sealed. */
  get sealed(): boolean {
    return this.#held.equals(gzipSeal(this.#sum.copy().digest()));
  }
}

async function* watched(source: AsyncIterable<Uint8Array>, seal: SealCheck): AsyncGenerator<Uint8Array> {
  for await (const part of source) {
    seal.push(part);
    yield part;
  }
}

async function readSeal(input: ByteReader, seal: SealCheck): Promise<void> {
  await input.exactly(SEAL_BYTES);
  // All that follows is read first: only then it is settled which bytes are the last ones.
  if ((await input.some(1)) !== undefined) {
    throw new BundleError("archive_trailing", "there are bytes behind the end of gzip");
  }
  if (!seal.sealed) {
    throw new BundleError("archive_malformed", "the packed bytes are not those that were written: the seal differs");
  }
}

/** Unpacks raw deflate up to its end, and leaves what stands behind it in `input`. */
async function* inflate(input: ByteReader): AsyncGenerator<Buffer> {
  const unpacker = createInflateRaw({ chunkSize: INFLATED_BYTES });
  const feeding = feed(input, unpacker);
  // Its outcome is looked at below; until then it must not count as unhandled.
  feeding.catch(() => {});
  try {
    for await (const part of unpacker) yield part as Buffer;
    await feeding;
  } catch (error) {
    throw await reasonOf(error, feeding);
  } finally {
    unpacker.destroy();
  }
}

async function feed(input: ByteReader, unpacker: InflateRaw): Promise<void> {
  const closed = new Promise<"closed">((resolve) => unpacker.once("close", () => resolve("closed")));
  try {
    for (let fed = 0; ; ) {
      const part = await input.some();
      if (part === undefined) {
        unpacker.end();
        return;
      }
      fed += part.length;
      // One part at a time: what the unpacker leaves of it at its end goes back.
      const taken = new Promise<"taken">((resolve) => unpacker.write(part, () => resolve("taken")));
      const outcome = await Promise.race([taken, closed]);
      const left = fed - unpacker.bytesWritten;
      if (left > 0) input.unread(part.subarray(part.length - left));
      if (left > 0 || outcome === "closed") return;
    }
  } catch (error) {
    unpacker.destroy(error as Error);
    throw error;
  }
}

async function reasonOf(error: unknown, feeding: Promise<void>): Promise<unknown> {
  if (error instanceof BundleError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "Z_BUF_ERROR") return new BundleError("archive_truncated", "gzip ends too early", { cause: error });
  if (code?.startsWith("Z_") === true) {
    return new BundleError("archive_malformed", "gzip holds bytes that cannot be unpacked", { cause: error });
  }
  // The source itself failed: that is no finding about the bundle.
  return feeding.then(
    () => error,
    (cause: unknown) => cause,
  );
}
