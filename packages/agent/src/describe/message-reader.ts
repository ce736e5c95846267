import { MAX_BYTES, tooManyBytes } from "./limits.ts";
import { GarbledError } from "./wire.ts";

/** A flag byte and four bytes of length (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
const PREFIX = 5;

/**
 * Cuts a stream of bytes into gRPC's messages. What came is copied: it is held in one buffer that grows with what is there, and not
 * with what a length promises, nor as thousands of small pieces that each keep a larger one alive.
 */
export class MessageReader {
  #held = Buffer.alloc(0);
  #size = 0;

  /** @returns the messages that these bytes complete. @throws GarbledError, TooMuchError */
  push(bytes: Buffer): Buffer[] {
    this.#append(bytes);
    const messages: Buffer[] = [];
    let at = 0;
    while (this.#size - at >= PREFIX) {
      // No compression was offered.
      if (this.#held[at] !== 0) throw new GarbledError("a message is compressed, or none of gRPC");
      const length = this.#held.readUInt32BE(at + 1);
      if (length > MAX_BYTES) throw tooManyBytes();
      const end = at + PREFIX + length;
      if (end > this.#size) break;
      messages.push(Buffer.from(this.#held.subarray(at + PREFIX, end)));
      at = end;
    }
    if (at > 0) {
      this.#held.copyWithin(0, at, this.#size);
      this.#size -= at;
    }
    return messages;
  }

  #append(bytes: Buffer): void {
    const needed = this.#size + bytes.length;
    if (needed > this.#held.length) {
      const grown = Buffer.alloc(Math.max(needed, this.#held.length * 2));
      this.#held.copy(grown, 0, 0, this.#size);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#size);
    this.#size = needed;
  }
}

/** A message with its prefix, not compressed. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
