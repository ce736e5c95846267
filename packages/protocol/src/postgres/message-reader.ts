import { Buffer } from "node:buffer";
import { int32At } from "./body-reader.ts";
import { PostgresProtocolError } from "./protocol-error.ts";

/**
 * PostgreSQL's frontend/backend protocol, version 3.0 (https://www.postgresql.org/docs/current/protocol-message-formats.html):
 * bytes to messages. Pure: no sockets, no timers.
 */

/** One message. Its bytes are views of what was pushed, where it came whole. */
export class Message {
  /** One letter; "" for a packet of the start-up, which has none. */
  readonly type: string;
  /** All of it. */
  readonly bytes: Buffer;
  /** So many messages of this type, one behind the other: more than one only where the reader joins them. */
  readonly count: number;

  constructor(type: string, bytes: Buffer, count = 1) {
    this.type = type;
    this.bytes = bytes;
    this.count = count;
  }

  /** What follows the length, of one that is not joined. */
  get body(): Buffer {
    return this.bytes.subarray(this.type === "" ? 4 : 5);
  }
}

export interface MessageReaderOptions {
  /** Who sends what is read here. */
  readonly side: "frontend" | "backend";
  /** Packets of the start-up come first, up to the one that names protocol 3. */
  readonly startup?: boolean;
  /** One message, at most. */
  readonly maxMessageBytes: number;
  /** Messages of this type that come one behind the other are given as one: rows come in millions. */
  readonly joins?: string;
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
  readonly #joins: number;
  #startup: boolean;
  /** The beginning of a message whose rest has not come; a buffer that doubles, so that single bytes cost no more. */
  #held: Buffer = NOTHING;
  #length = 0;
  #broken: PostgresProtocolError | undefined;

  constructor({ side, startup, maxMessageBytes, joins }: MessageReaderOptions) {
    this.#known = LETTERS.map((letter) => TYPES[side].includes(letter));
    this.#maxBytes = maxMessageBytes;
    this.#startup = startup === true;
    this.#joins = joins?.charCodeAt(0) ?? -1;
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
        const from = at;
        at += size;
        let count = 1;
        while (chunk[from] === this.#joins && chunk[at] === this.#joins) {
          const next = this.#sizeAt(chunk, at);
          if (next === undefined || at + next > chunk.length) break;
          at += next;
          count += 1;
        }
        messages.push(this.#message(chunk.subarray(from, at), count));
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
    const length = int32At(bytes, at + 1);
    if (length < 4) throw new PostgresProtocolError("a message has no good length");
    if (length + 1 > this.#maxBytes)
      throw new PostgresProtocolError(`a message is longer than ${this.#maxBytes} bytes`);
    return length + 1;
  }

  #message(bytes: Buffer, count = 1): Message {
    if (!this.#startup) return new Message(LETTERS[bytes[0] as number] as string, bytes, count);
    if (bytes.readUInt16BE(4) === PROTOCOL_MAJOR) this.#startup = false;
    return new Message("", bytes);
  }
}
