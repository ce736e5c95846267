import type { Buffer } from "node:buffer";
import { PostgresProtocolError } from "./protocol-error.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A number of four bytes, without a check of the bounds: for loops over millions of lengths that have made it themselves. */
export const int32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number);

/** Reads a message's body field by field, and never beyond it. */
export class BodyReader {
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get left(): number {
    return this.#body.length - this.#at;
  }

  byte(): number {
    return this.#body[this.#take(1)] as number;
  }

  int16(): number {
    return this.#body.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#body.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#body.readUInt32BE(this.#take(4));
  }

  bytes(length: number): Buffer {
    const from = this.#take(length);
    return this.#body.subarray(from, from + length);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  /** Up to a NUL. @throws PostgresProtocolError for what is not UTF-8 */
  text(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end === -1) throw new PostgresProtocolError("a text in a message does not end");
    const bytes = this.#body.subarray(this.#at, end);
    this.#at = end + 1;
    try {
      return UTF8.decode(bytes);
    } catch (cause) {
      throw new PostgresProtocolError("a text in a message is not UTF-8", { cause });
    }
  }

  /** @throws PostgresProtocolError when something follows */
  done(): void {
    if (this.left !== 0) throw new PostgresProtocolError("a message is longer than what is in it");
  }

  #take(length: number): number {
    const from = this.#at;
    if (length < 0 || from + length > this.#body.length) {
      throw new PostgresProtocolError("a message is shorter than what is in it");
    }
    this.#at = from + length;
    return from;
  }
}
