import { createHash, hash } from "node:crypto";
import { encodeTarHeader, type FileSum, tarPadding } from "@hoopish/protocol/bundle";
import type { Part } from "./packing.ts";

/** Writes files as tar, and keeps the sums of those that the manifest lists. */
export class ArchiveFiles {
  readonly #mtime: number;
  readonly #sums: Record<string, FileSum> = {};

  /** @param mtime of every file, seconds since 1970 */
  constructor(mtime: number) {
    this.#mtime = mtime;
  }

  /** Sums of the files so far that were written with `listed`. */
  get sums(): Readonly<Record<string, FileSum>> {
    return this.#sums;
  }

  small(path: string, content: string | Uint8Array): Part {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    this.#sums[path] = sumOf(bytes);
    return this.unlisted(path, bytes);
  }

  /** A small file that the manifest does not list. */
  unlisted(path: string, bytes: Uint8Array): Part {
    const { length } = bytes;
    return {
      bytes: Buffer.concat([this.#header(path, length).bytes, bytes, padding(length).bytes]),
      packed: false,
    };
  }

  /**
   * A file that flows through.
   * @returns its SHA-256 in hexadecimal; whether the manifest lists it is for the caller to say
   * @throws Error when `content` has another length than was said: the archive cannot be mended then
   */
  async *flowing(
    path: string,
    length: number,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    packed = false,
  ): AsyncGenerator<Part, string> {
    yield this.#header(path, length);
    const sum = createHash("sha256");
    let written = 0;
    for await (const bytes of content) {
      written += bytes.byteLength;
      if (written > length) break;
      sum.update(bytes);
      yield { bytes, packed };
    }
    if (written !== length) throw new Error(`${path} has not the ${length} bytes that were announced`);
    yield padding(length);
    return sum.digest("hex");
  }

  list(path: string, sum: FileSum): void {
    this.#sums[path] = sum;
  }

  #header(path: string, size: number): Part {
    return { bytes: encodeTarHeader({ path, size, mtime: this.#mtime }), packed: false };
  }
}

export const sumOf = (bytes: Uint8Array): FileSum => ({
  bytes: bytes.byteLength,
  sha256: hash("sha256", bytes, "hex"),
});

const padding = (size: number): Part => ({ bytes: Buffer.alloc(tarPadding(size)), packed: false });
