import { Buffer } from "node:buffer";

/** How messages of a WebSocket cross a tunnel (streams.ts, WebSocketOpen): kind u8, length u32, bytes. RFC 6455's opcodes. */
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;

export interface WebSocketMessage {
  readonly kind: typeof TEXT | typeof BINARY | typeof CLOSE;
  readonly data: Buffer;
}

const HEAD = 5;

export function encodeWebSocketMessage(kind: WebSocketMessage["kind"], data: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + data.length);
  bytes[0] = kind;
  bytes.writeUInt32BE(data.length, 1);
  data.copy(bytes, HEAD);
  return bytes;
}

/** A close's code and reason as its message has them (RFC 6455 §5.5.1); a reason has at most 123 bytes. */
export function encodeClose(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, 120);
  const data = Buffer.allocUnsafe(2 + text.length);
  data.writeUInt16BE(code);
  text.copy(data, 2);
  return encodeWebSocketMessage(CLOSE, data);
}

export function decodeClose(data: Buffer): { readonly code: number; readonly reason: string } {
  // 1005: there was no code.
  if (data.length < 2) return { code: 1005, reason: "" };
  return { code: data.readUInt16BE(0), reason: data.toString("utf8", 2).replace(/\ufffd+$/, "") };
}

/** Bytes to messages. @throws RangeError, from then on always, for what is none */
export class WebSocketMessageReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #broken = false;

  constructor(maxMessageBytes: number) {
    this.#maxBytes = maxMessageBytes;
  }

  push(chunk: Buffer): WebSocketMessage[] {
    if (this.#broken) throw new RangeError("what came before was no message");
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const messages: WebSocketMessage[] = [];
    while (this.#length >= HEAD) {
      const head = this.#peek(HEAD);
      const kind = head[0];
      const size = HEAD + head.readUInt32BE(1);
      if ((kind !== TEXT && kind !== BINARY && kind !== CLOSE) || size - HEAD > this.#maxBytes) {
        this.#broken = true;
        this.#chunks = [];
        throw new RangeError(
          kind === undefined || size - HEAD <= this.#maxBytes ? "there is no such kind" : "it is too long",
        );
      }
      if (this.#length < size) break;
      messages.push({ kind, data: this.#take(size).subarray(HEAD) });
    }
    return messages;
  }

  get held(): number {
    return this.#length;
  }

  #peek(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= bytes) return first;
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Buffer;
  }

  #take(bytes: number): Buffer {
    const all = this.#peek(bytes);
    this.#length -= bytes;
    if (all.length === bytes) this.#chunks.shift();
    else this.#chunks[0] = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}
