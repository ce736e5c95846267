import { Buffer } from "node:buffer";
import { PostgresProtocolError } from "./protocol-error.ts";

/**
 * PostgreSQL's frontend/backend protocol, version 3.0 (https://www.postgresql.org/docs/current/protocol-message-formats.html):
 * bytes to messages. Pure: no sockets, no timers.
 */

/** One message. `bytes` is all of it, `body` what follows its length. Views of what was pushed, where it came whole. */
export interface Message {
  /** One letter; "" for a packet of the start-up, which has none. */
  readonly type: string;
  readonly bytes: Buffer;
  readonly body: Buffer;
}

export interface MessageReaderOptions {
  /** Who sends what is read here. */
  readonly side: "frontend" | "backend";
  /** Packets of the start-up come first, up to the one that names protocol 3. */
  readonly startup?: boolean;
  /** One message, at most. */
  readonly maxMessageBytes: number;
}

/** Message types of each side, protocol 3.0; `p` are passwords and SASL. */
const TYPES: Readonly<Record<MessageReaderOptions["side"], string>> = {
  frontend: "BCDEFHPQSXcdfp",
  backend: "123ACDEGHIKNRSTVWZcdnstv",
};
/** src/include/libpq/pqcomm.h: MAX_STARTUP_PACKET_LENGTH. */
const MAX_START_UP = 10_000;
const PROTOCOL_MAJOR = 3;
const NOTHING = Buffer.alloc(0);
/** Letters, so that a type costs no new string. */
const LETTERS = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

export class MessageReader {
  readonly #known: readonly boolean[];
  readonly #maxBytes: number;
  #startup: boolean;
  /** The beginning of a message whose rest has not come; a buffer that doubles, so that single bytes cost no more. */
  #held: Buffer = NOTHING;
  #length = 0;
  #broken: PostgresProtocolError | undefined;

  constructor({ side, startup, maxMessageBytes }: MessageReaderOptions) {
    this.#known = LETTERS.map((letter) => TYPES[side].includes(letter));
    this.#maxBytes = maxMessageBytes;
    this.#startup = startup === true;
  }

  /** Bytes of a message that is not complete. */
  get held(): number {
    return this.#length;
  }

  /**
   * The messages that these bytes complete, in order.
   * @throws PostgresProtocolError, from then on always
   */
  push(chunk: Buffer): Message[] {
    if (this.#broken !== undefined) throw this.#broken;
    const messages: Message[] = [];
    try {
      let at = 0;
      if (this.#length > 0) at = this.#fill(chunk, messages);
      while (at < chunk.length) {
        const size = this.#sizeAt(chunk, at);
        if (size === undefined || at + size > chunk.length) break;
        messages.push(this.#message(chunk.subarray(at, at + size)));
        at += size;
      }
      if (at < chunk.length && this.#length === 0) this.#hold(chunk.subarray(at));
    } catch (error) {
      this.#held = NOTHING;
      this.#length = 0;
      this.#broken = error as PostgresProtocolError;
      throw error;
    }
    return messages;
  }

  /** Completes the message that has begun. @returns where in the chunk the next one begins */
  #fill(chunk: Buffer, messages: Message[]): number {
    let at = 0;
    for (;;) {
      const size = this.#sizeAt(this.#held, 0, this.#length);
      const wanted = size ?? (this.#startup ? 4 : 5);
      const take = Math.min(wanted - this.#length, chunk.length - at);
      this.#hold(chunk.subarray(at, at + take));
      at += take;
      if (this.#length < wanted) return at;
      if (size === undefined) continue;
      // A copy of its own: the buffer is written over by the next one.
      const bytes = Buffer.from(this.#held.subarray(0, size));
      this.#length = 0;
      if (this.#held.length > 65_536) this.#held = NOTHING;
      messages.push(this.#message(bytes));
      return at;
    }
  }

  #hold(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (this.#held.length < needed) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, needed * 2));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#length);
    this.#length = needed;
  }

  /** Bytes of the message that begins here; undefined: its head is not there yet. @throws PostgresProtocolError */
  #sizeAt(bytes: Buffer, at: number, end: number = bytes.length): number | undefined {
    if (this.#startup) {
      if (at + 4 > end) return undefined;
      const length = bytes.readInt32BE(at);
      if (length < 8 || length > MAX_START_UP) throw new PostgresProtocolError("a start-up packet has no good length");
      return length;
    }
    const type = bytes[at] as number;
    if (this.#known[type] !== true) throw new PostgresProtocolError("there is no message of that type");
    if (at + 5 > end) return undefined;
    const length = bytes.readInt32BE(at + 1);
    if (length < 4) throw new PostgresProtocolError("a message has no good length");
    if (length + 1 > this.#maxBytes)
      throw new PostgresProtocolError(`a message is longer than ${this.#maxBytes} bytes`);
    return length + 1;
  }

  #message(bytes: Buffer): Message {
    if (!this.#startup) return { type: LETTERS[bytes[0] as number] as string, bytes, body: bytes.subarray(5) };
    if (bytes.readUInt16BE(4) === PROTOCOL_MAJOR) this.#startup = false;
    return { type: "", bytes, body: bytes.subarray(4) };
  }
}
