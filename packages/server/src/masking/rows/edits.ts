const INT32 = 4;
const NULL = -1;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * What is to stand elsewhere in one buffer of PostgreSQL messages: gathered first, in order, and then made in one copy, with the
 * lengths of the messages and cells that they stand in.
 */
export class Edits {
  #bytes: Buffer = NOTHING;
  /** For each edit, what it replaces; what stands there instead is in `#puts`, or a number of four bytes. */
  readonly #froms: number[] = [];
  readonly #tos: number[] = [];
  readonly #puts: (Buffer | number)[] = [];
  #count = 0;
  /** By how much the whole becomes longer. */
  #more = 0;
  #message = 0;
  /** The edit with the length of the message that is being read; -1: it has none yet. */
  #lengthAt = -1;
  #moreBefore = 0;

  begin(bytes: Buffer): this {
    this.#bytes = bytes;
    this.#count = 0;
    this.#more = 0;
    return this;
  }

  /** `[from, to)` becomes this. */
  put(from: number, to: number, bytes: Buffer): void {
    this.#add(from, to, bytes);
    this.#more += bytes.length - (to - from);
  }

  /** What follows are cells of the message that begins here. */
  beginMessage(start: number): void {
    this.#message = start;
    this.#lengthAt = -1;
  }

  /** @param bytes undefined: NULL */
  putCell(at: number, length: number, bytes: Buffer | undefined): void {
    if (this.#lengthAt === -1) {
      this.#lengthAt = this.#count;
      this.#moreBefore = this.#more;
      this.#add(this.#message + 1, this.#message + 1 + INT32, this.#bytes.readInt32BE(this.#message + 1));
    }
    if (bytes === undefined) {
      this.#add(at - INT32, at + length, NULL);
      this.#more -= length;
    } else {
      this.#add(at - INT32, at, bytes.length);
      this.put(at, at + length, bytes);
    }
  }

  endMessage(): void {
    if (this.#lengthAt === -1) return;
    this.#puts[this.#lengthAt] = (this.#puts[this.#lengthAt] as number) + this.#more - this.#moreBefore;
  }

  /** The buffer itself, where nothing was to become something else. */
  end(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = NOTHING;
    if (this.#count === 0) return bytes;
    const out = Buffer.allocUnsafe(bytes.length + this.#more);
    let from = 0;
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      at += bytes.copy(out, at, from, this.#froms[i]);
      const put = this.#puts[i] as Buffer | number;
      at = typeof put === "number" ? out.writeInt32BE(put, at) : at + put.copy(out, at);
      from = this.#tos[i] as number;
    }
    bytes.copy(out, at, from);
    this.#puts.length = 0;
    return out;
  }

  #add(from: number, to: number, put: Buffer | number): void {
    this.#froms[this.#count] = from;
    this.#tos[this.#count] = to;
    this.#puts[this.#count] = put;
    this.#count += 1;
  }
}
