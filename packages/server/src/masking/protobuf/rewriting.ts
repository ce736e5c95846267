import { encodeVarint } from "../../protobuf/wire.ts";

/** Where a message's copy stood before something was tried. */
interface Mark {
  readonly parts: number;
  readonly copied: number;
  readonly length: number;
  /** The part that the length becomes, and how much was there before what it counts. */
  readonly place: number;
  readonly inside: number;
}

/**
 * A message that is copied with some of its values replaced. Lengths of the messages around a value are written when their
 * content is known; what does not change is never copied before the end, and then once.
 */
export class Rewriting {
  readonly #bytes: Buffer;
  readonly #parts: Buffer[] = [];
  /** Up to here the original is in the parts, or replaced. */
  #copied = 0;
  #length = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** What stands in `[from, to)` becomes this. */
  replace(from: number, to: number, by: Buffer): void {
    this.#keep(from);
    this.#put(by);
    this.#copied = to;
  }

  /** A value with its length, which stands in `[lengthAt, to)`, becomes this. */
  replaceDelimited(lengthAt: number, to: number, by: Buffer): void {
    this.replace(lengthAt, to, encodeVarint(by.length));
    this.#put(by);
  }

  /** Goes into a message whose length stands at `lengthAt` and whose content begins at `from`. */
  enter(lengthAt: number, from: number): Mark {
    const parts = this.#parts.length;
    const copied = this.#copied;
    const length = this.#length;
    this.#keep(lengthAt);
    const place = this.#parts.length;
    this.#parts.push(NOTHING);
    this.#copied = from;
    return { parts, copied, length, place, inside: this.#length };
  }

  /** Its content ends at `to`. Unchanged: it is as if nobody had looked. */
  leave(mark: Mark, to: number, changed: boolean): void {
    if (!changed) {
      this.#parts.length = mark.parts;
      this.#copied = mark.copied;
      this.#length = mark.length;
      return;
    }
    this.#keep(to);
    const prefix = encodeVarint(this.#length - mark.inside);
    this.#parts[mark.place] = prefix;
    this.#length += prefix.length;
  }

  /** The whole message. */
  done(): Buffer {
    if (this.#parts.length === 0) return this.#bytes;
    this.#keep(this.#bytes.length);
    return Buffer.concat(this.#parts, this.#length);
  }

  #keep(to: number): void {
    if (to > this.#copied) this.#put(this.#bytes.subarray(this.#copied, to));
    this.#copied = to;
  }

  #put(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

const NOTHING = Buffer.alloc(0);
