import { BundleError } from "./bundle-error.ts";
import type { ByteReader } from "./byte-reader.ts";

/**
 * The one form of tar that a bundle has: POSIX ustar, plain files, names of at most 100 bytes, no owner, and every
 * other field fixed. A header is read by writing it again from its name, size and time: what does not come out the same,
 * byte for byte, is refused. So there are no links, devices, folders, extension headers or spare bytes to hide in.
 */

export const TAR_BLOCK_BYTES = 512;
/** Two blocks of zeroes, and nothing after them. */
export const TAR_END: Buffer = Buffer.alloc(2 * TAR_BLOCK_BYTES);
/** What eleven octal digits hold. */
export const MAX_TAR_FILE_BYTES: number = 8 ** 11 - 1;
const MAX_NAME_BYTES = 100;

const SIZE_AT = 124;
const MTIME_AT = 136;
const CHECKSUM_AT = 148;
const TYPE_AT = 156;

export interface TarHeader {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

/** Everything in a header that is always the same; eight spaces stand for the checksum while it is counted. */
const FIXED: Buffer = Buffer.alloc(TAR_BLOCK_BYTES);
FIXED.write("0000644\x000000000\x000000000\x00", 100, "latin1");
FIXED.write("        0", CHECKSUM_AT, "latin1");
FIXED.write("ustar\x0000", 257, "latin1");
FIXED.write("0000000\x000000000\x00", 329, "latin1");
const FIXED_SUM = FIXED.reduce((sum, byte) => sum + byte, 0);

/** @throws RangeError when a name, size or time does not fit */
export function encodeTarHeader({ path, size, mtime }: TarHeader): Buffer {
  const block = Buffer.from(FIXED);
  const length = Buffer.byteLength(path);
  if (length === 0 || length > MAX_NAME_BYTES) throw new RangeError(`no name for ustar: ${path}`);
  block.write(path, 0);
  block.write(`${octal(size)}\x00${octal(mtime)}\x00`, SIZE_AT, "latin1");
  const sum = FIXED_SUM + sumOf(block, 0, length) + sumOf(block, SIZE_AT, CHECKSUM_AT);
  block.write(`${sum.toString(8).padStart(6, "0")}\x00 `, CHECKSUM_AT, "latin1");
  return block;
}

function sumOf(bytes: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += bytes[i] as number;
  return sum;
}

function octal(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0 || value > MAX_TAR_FILE_BYTES)
    throw new RangeError(`${value} in ustar`);
  return value.toString(8).padStart(11, "0");
}

/** @throws BundleError archive_malformed */
export function decodeTarHeader(block: Buffer): TarHeader {
  const nameEnd = block.indexOf(0);
  const path = block.toString("latin1", 0, Math.min(nameEnd === -1 ? MAX_NAME_BYTES : nameEnd, MAX_NAME_BYTES));
  const size = decodeOctal(block, SIZE_AT);
  const mtime = decodeOctal(block, MTIME_AT);
  const header = { path, size: size ?? 0, mtime: mtime ?? 0 };
  if (size === undefined || mtime === undefined || path === "" || !/^[\x21-\x7e]+$/.test(path)) throw odd(block);
  if (!encodeTarHeader(header).equals(block)) throw odd(block);
  return header;
}

function decodeOctal(block: Buffer, at: number): number | undefined {
  const text = block.toString("latin1", at, at + 12);
  return /^[0-7]{11}$/.test(text.slice(0, 11)) && text.endsWith("\0") ? Number.parseInt(text, 8) : undefined;
}

function odd(block: Buffer): BundleError {
  const type = block[TYPE_AT] as number;
  const isFile = type === 0x30 || type === 0;
  const why = isFile ? "its header is not the one that a bundle has" : `it is no plain file (type ${hexOf(type)})`;
  return new BundleError("archive_malformed", `an entry of the archive is refused: ${why}`);
}

const hexOf = (byte: number): string => `0x${byte.toString(16).padStart(2, "0")}`;

/** Zeroes that fill a file of `size` bytes up to whole blocks. */
export const tarPadding = (size: number): number => (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;

const ZEROES = Buffer.alloc(TAR_BLOCK_BYTES);

/** Reads an archive entry by entry. Each one's content is to be taken whole before the next header is asked for. */
export class TarReader {
  readonly #bytes: ByteReader;
  #left = 0;
  #padding = 0;

  constructor(bytes: ByteReader) {
    this.#bytes = bytes;
  }

  /**
   * The next file's header; undefined after the last one, when the archive has ended well.
   * @throws BundleError archive_malformed, archive_truncated
   */
  async header(): Promise<TarHeader | undefined> {
    if (this.#left > 0) throw new Error("the last file's content was not read");
    const bytes = await this.#bytes.exactly(this.#padding + TAR_BLOCK_BYTES);
    if (bytes.compare(ZEROES, 0, this.#padding, 0, this.#padding) !== 0) {
      throw new BundleError("archive_malformed", "bytes between two files of the archive are not zero");
    }
    const block = bytes.subarray(this.#padding);
    if (block.equals(ZEROES)) {
      await this.#end();
      return undefined;
    }
    const header = decodeTarHeader(block);
    this.#left = header.size;
    this.#padding = tarPadding(header.size);
    return header;
  }

  async #end(): Promise<void> {
    const last = await this.#bytes.exactly(TAR_BLOCK_BYTES);
    if (!last.equals(ZEROES))
      throw new BundleError("archive_malformed", "the archive does not end in two empty blocks");
    if ((await this.#bytes.some(1)) !== undefined) {
      throw new BundleError("archive_trailing", "there are bytes behind the end of the archive");
    }
  }

  /** The next part of the content of the file whose header came last; undefined at its end. */
  async part(): Promise<Buffer | undefined> {
    if (this.#left === 0) return undefined;
    const part = await this.#bytes.some(this.#left);
    if (part === undefined) throw new BundleError("archive_truncated", "the archive ends within a file");
    this.#left -= part.length;
    return part;
  }
}
