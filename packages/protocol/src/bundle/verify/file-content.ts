import { createHash } from "node:crypto";
import { BundleError } from "../bundle-error.ts";
import type { FileSum } from "../manifest.ts";
import type { TarHeader, TarReader } from "../tar.ts";

/** One file of the archive as it streams by; whatever is read of it is hashed. */
export class FileContent implements AsyncIterable<Buffer> {
  readonly path: string;
  readonly size: number;
  readonly #tar: TarReader;
  readonly #hash = createHash("sha256");
  #failure: unknown;

  constructor(tar: TarReader, { path, size }: TarHeader) {
    this.path = path;
    this.size = size;
    this.#tar = tar;
  }

  async part(): Promise<Buffer | undefined> {
    try {
      const part = await this.#tar.part();
      if (part !== undefined) this.#hash.update(part);
      return part;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Whether `error` comes from the archive, and not from what this one file holds. */
  isOfArchive(error: unknown): boolean {
    return error === this.#failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let part = await this.part(); part !== undefined; part = await this.part()) yield part;
  }

  /** The whole of a small file. @throws BundleError file_malformed when it is larger */
  async whole(maxBytes: number): Promise<Buffer> {
    if (this.size > maxBytes) throw new BundleError("file_malformed", `it has more than ${maxBytes} bytes`);
    const parts: Buffer[] = [];
    for await (const part of this) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Reads what nobody has, so that the next file can come. @returns length and SHA-256 of the whole */
  async finish(): Promise<FileSum> {
    for await (const _ of this);
    return { bytes: this.size, sha256: this.#hash.digest("hex") };
  }
}
