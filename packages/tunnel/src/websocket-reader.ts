import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { MAX_MESSAGE_BYTES } from "@hoopish/protocol";
import { applyMask, isAligned, wordsOf } from "./mask.ts";

/** FIN and opcode, RFC 6455 section 5.2: the only frames that a peer has to send here. */
const BINARY = 0x82;
const PING = 0x89;
const PONG = 0x8a;
const MASK_BIT = 0x80;
const MAX_CONTROL_BYTES = 125;

export interface WebSocketReaderEvents {
  /** A binary message, unmasked. A view of what was pushed, or memory of its own. */
  message(payload: Buffer): void;
  /** A PING or PONG, whole and as it came. */
  control(frame: Buffer): void;
  /** Something else begins here: all bytes from it on, and whatever follows, are `ws`'s to judge. Called once. */
  other(bytes: Buffer): void;
}

/**
 * Takes the whole binary messages out of what a WebSocket's socket delivers, and leaves everything else to `ws`: control
 * frames, and from the first byte on that is no plain frame of this protocol (a fragment, a wrong mask, a reserved bit, a
 * length over the limit, text, a close) all there is. So what is right and wrong is still decided by `ws` alone; this is
 * the short way for what is plainly right. `ws` itself costs several objects and two function calls a frame more, and
 * unmasks a byte at a time.
 *
 * Sans-io: bytes in, events out, any chunking gives the same events. Holds at most one message.
 */
export class WebSocketReader {
  readonly #maskBit: number;
  readonly #events: WebSocketReaderEvents;
  /** The beginning of a frame that is too short to be looked at: a head, or a control frame. */
  #tail: Buffer | undefined;
  /** A message of which bytes are to come, how many are here, and its mask. */
  #message: Buffer | undefined;
  #filled = 0;
  #mask = 0;
  /** The chunk's words, once a message of it was unmasked. */
  #words: Int32Array | undefined;
  #over = false;

  /** `masked`: the peer is the client, which must mask what it sends (RFC 6455 section 5.3). */
  constructor(masked: boolean, events: WebSocketReaderEvents) {
    this.#maskBit = masked ? MASK_BIT : 0;
    this.#events = events;
  }

  push(chunk: Buffer): void {
    const bytes = this.#tail === undefined ? chunk : Buffer.concat([this.#tail, chunk]);
    this.#tail = undefined;
    this.#words = undefined;
    let at = this.#message === undefined ? 0 : this.#fill(this.#message, bytes, 0);
    while (at < bytes.length && !this.#over) at = this.#frame(bytes, at);
  }

  /** One frame that begins at `at`. @returns where the next one begins */
  #frame(bytes: Buffer, at: number): number {
    const here = bytes.length - at;
    if (here < 2) return this.#wait(bytes, at);
    const kind = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const isControl = kind === PING || kind === PONG;
    if ((kind !== BINARY && !isControl) || (second & MASK_BIT) !== this.#maskBit) return this.#leave(bytes, at);
    let length = second & 0x7f;
    if (isControl && length > MAX_CONTROL_BYTES) return this.#leave(bytes, at);
    const lengthBytes = length < 126 ? 0 : length === 126 ? 2 : 8;
    const headBytes = 2 + lengthBytes + (this.#maskBit === 0 ? 0 : 4);
    if (here < headBytes) return this.#wait(bytes, at);
    if (lengthBytes === 2) length = bytes.readUInt16BE(at + 2);
    else if (lengthBytes === 8) {
      length = bytes.readUInt32BE(at + 6);
      if (bytes.readUInt32BE(at + 2) !== 0) return this.#leave(bytes, at);
    }
    if (length > MAX_MESSAGE_BYTES) return this.#leave(bytes, at);
    const from = at + headBytes;
    const end = from + length;
    if (isControl) {
      if (end > bytes.length) return this.#wait(bytes, at);
      this.#events.control(bytes.subarray(at, end));
      return end;
    }
    this.#mask = this.#maskBit === 0 ? 0 : bytes.readInt32BE(from - 4);
    if (end > bytes.length) return this.#begin(length, bytes, from);
    if (this.#mask !== 0) this.#unmask(bytes, from, end);
    this.#events.message(bytes.subarray(from, end));
    return end;
  }

  /** A message that goes on in the next chunk gets memory of its own. */
  #begin(length: number, bytes: Buffer, from: number): number {
    this.#message = Buffer.allocUnsafeSlow(length);
    this.#filled = 0;
    return this.#fill(this.#message, bytes, from);
  }

  #fill(message: Buffer, bytes: Buffer, from: number): number {
    const copied = bytes.copy(message, this.#filled, from);
    this.#filled += copied;
    if (this.#filled === message.length) {
      this.#message = undefined;
      if (this.#mask !== 0) applyMask(message, wordsOf(message), 0, message.length, this.#mask);
      this.#events.message(message);
    }
    return from + copied;
  }

  #unmask(bytes: Buffer, from: number, end: number): void {
    if (isAligned(bytes)) {
      this.#words ??= wordsOf(bytes);
      applyMask(bytes, this.#words, from, end, this.#mask);
    } else {
      // What a test or the rest of a handshake gives; a socket's own chunks begin at a word's edge.
      const copy = Buffer.allocUnsafeSlow(end - from);
      bytes.copy(copy, 0, from, end);
      applyMask(copy, wordsOf(copy), 0, copy.length, this.#mask);
      copy.copy(bytes, from);
    }
  }

  #wait(bytes: Buffer, at: number): number {
    this.#tail = Buffer.from(bytes.subarray(at));
    return bytes.length;
  }

  #leave(bytes: Buffer, at: number): number {
    this.#over = true;
    this.#events.other(bytes.subarray(at));
    return bytes.length;
  }
}

/**
 * Puts a reader between a socket and the open WebSocket on it, which keeps what the reader leaves. `ws` has one listener
 * of the socket's data; where it has not, nothing is changed, and every message comes through `ws`.
 */
export function readMessages(socket: Duplex, masked: boolean, onMessage: (message: Buffer) => void): void {
  const [toWebSocket, ...others] = socket.listeners("data") as ((this: Duplex, chunk: Buffer) => void)[];
  if (toWebSocket === undefined || others.length > 0) return;
  const reader = new WebSocketReader(masked, {
    message: onMessage,
    control: (frame) => toWebSocket.call(socket, frame),
    other: (bytes) => {
      // Back to how it was: `ws` takes its listener away when it has read a close or a mistake.
      socket.off("data", onData);
      socket.on("data", toWebSocket);
      toWebSocket.call(socket, bytes);
    },
  });
  const onData = (chunk: Buffer): void => reader.push(chunk);
  socket.off("data", toWebSocket);
  socket.on("data", onData);
}
