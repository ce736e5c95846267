import { createHash, type Hash, hash } from "node:crypto";
import { BundleError } from "../bundle-error.ts";
import type { FileSum } from "../manifest.ts";
import type { TarHeader, TarReader } from "../tar.ts";

/** One file of the archive as it streams by; whatever is read of it is hashed. */
export class FileContent implements AsyncIterable<Buffer> {
  readonly path: string;
  readonly size: number;
  readonly #tar: TarReader;
  /** Most files come in one part, and are hashed in one go. */
  #only: Buffer | undefined;
  #hash: Hash | undefined;
  #failure: unknown;

  constructor(tar: TarReader, { path, size }: TarHeader) {
    this.path = path;
    this.size = size;
    this.#tar = tar;
  }

  async part(): Promise<Buffer | undefined> {
    try {
      const part = await this.#tar.part();
      if (part !== undefined) this.#sum(part);
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
    for (let part = await this.part(); part !== undefined; part = await this.part()) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Reads what nobody has, so that the next file can come. @returns length and SHA-256 of the whole */
  async finish(): Promise<FileSum> {
    while ((await this.part()) !== undefined);
    const sha256 = this.#hash?.digest("hex") ?? hash("sha256", this.#only ?? NOTHING, "hex");
    return { bytes: this.size, sha256 };
  }

  #sum(part: Buffer): void {
    if (part.length === this.size) {
      this.#only = part;
      return;
    }
    this.#hash ??= createHash("sha256");
    this.#hash.update(part);
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
