import { BundleError } from "./bundle-error.ts";

/** Bytes of a stream by number: holds no more than the part that came last, and what was asked for at once. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #part: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `max`, as they come; undefined at the end. Not copied: good until the next call. */
  async some(max: number = Number.MAX_SAFE_INTEGER): Promise<Buffer | undefined> {
    while (this.#part.length === 0) {
      if (this.#ended) return undefined;
      const { done, value } = await this.#source.next();
      if (done === true) {
        this.#ended = true;
        return undefined;
      }
      this.#part = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const taken = this.#part.subarray(0, max);
    this.#part = this.#part.subarray(taken.length);
    return taken;
  }

  /** @throws BundleError archive_truncated when there are fewer */
  async exactly(count: number): Promise<Buffer> {
    if (this.#part.length >= count) {
      const taken = this.#part.subarray(0, count);
      this.#part = this.#part.subarray(count);
      return taken;
    }
    const parts: Buffer[] = [];
    for (let missing = count; missing > 0; ) {
      const part = await this.some(missing);
      if (part === undefined) throw new BundleError("archive_truncated", "the archive ends too early");
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts, count);
  }

  /** Puts bytes back in front of what comes. */
  unread(bytes: Buffer): void {
    this.#part = this.#part.length === 0 ? bytes : Buffer.concat([bytes, this.#part]);
  }

  /** Ends the source: nothing more is wanted of it. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#part = Buffer.alloc(0);
    await this.#source.return?.();
  }
}
