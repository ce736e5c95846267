import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";
import type { Writable } from "node:stream";
import { FRAME_HEAD_BYTES, FrameType, writeFrameHead } from "@hoopish/protocol";
import type { FrameSink } from "./api.ts";
import { applyMask } from "./mask.ts";

/** Memory in which frames are gathered; a pull of the largest size fits. */
const SLAB_BYTES = 256 * 1024;
/** Pieces from this size on are given to the socket as they are; below it, copying is cheaper than one more vector. */
const REFERENCE_BYTES = 4096;
/** FIN and opcode 2, RFC 6455 section 5.2. */
const BINARY = 0x82;
const MASK_BIT = 0x80;
const MAX_WEBSOCKET_HEAD = 14;

/**
 * Writes frames as WebSocket binary messages (RFC 6455 section 5.2) straight to the socket, many in one system call.
 *
 * `ws` does the handshake and the closing; its `send` is not used because it costs two writes and several objects a
 * message, and masks a byte at a time (numbers in docs/tunnel-protocol.md). Both may write to the one socket because each
 * writes whole WebSocket frames, and no extension that keeps state between frames is ever negotiated.
 */
export class WebSocketWriter implements FrameSink {
  readonly #masked: boolean;
  #slab: Slab | undefined = undefined;
  /** End of what is written in the slab, and start of what is not yet a segment of the next write. */
  #at = 0;
  #from = 0;
  #segments: Buffer[] = [];
  /** Payload bytes of the current DATA frame still to come, and where masking starts. */
  #left = 0;
  #maskFrom = 0;
  #mask = 0;

  /** `masked`: this is the client's side, which must mask what it sends (RFC 6455 section 5.3). */
  constructor(masked: boolean) {
    this.#masked = masked;
  }

  message(frame: Buffer): void {
    const slab = this.#head(frame.length);
    frame.copy(slab.bytes, this.#at);
    this.#at += frame.length;
    if (this.#masked) this.#applyMask();
  }

  data(streamId: number, flags: number, length: number): void {
    const slab = this.#head(FRAME_HEAD_BYTES + length);
    writeFrameHead(slab.bytes, this.#at, FrameType.DATA, flags, streamId);
    this.#at += FRAME_HEAD_BYTES;
    this.#left = length;
    if (length === 0 && this.#masked) this.#applyMask();
  }

  piece(chunk: Buffer, start: number, end: number): void {
    this.#left -= end - start;
    if (!this.#masked && end - start >= REFERENCE_BYTES) {
      this.#endSegment();
      this.#segments.push(chunk.subarray(start, end));
      return;
    }
    chunk.copy((this.#slab as Slab).bytes, this.#at, start, end);
    this.#at += end - start;
    if (this.#left === 0 && this.#masked) this.#applyMask();
  }

  /** Gives everything to the socket. */
  flush(socket: Writable): void {
    this.#endSegment();
    const segments = this.#segments;
    const first = segments[0];
    if (first === undefined) return;
    this.#segments = [];
    if (segments.length === 1) {
      socket.write(first);
    } else {
      socket.cork();
      for (const segment of segments) socket.write(segment);
      socket.uncork();
    }
    // Nothing buffered means that the kernel has it all (a TLS socket: that it is encrypted), so the slab is free.
    if (socket.writableLength > 0) return;
    spare = this.#slab;
    this.#slab = undefined;
  }

  #endSegment(): void {
    if (this.#slab === undefined || this.#at === this.#from) return;
    this.#segments.push(this.#slab.bytes.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  /** The WebSocket frame's head, in a slab with room behind it for all of its payload. */
  #head(length: number): Slab {
    let slab = this.#slab;
    if (slab === undefined || this.#at + MAX_WEBSOCKET_HEAD + length > SLAB_BYTES) slab = this.#nextSlab();
    const bytes = slab.bytes;
    const maskBit = this.#masked ? MASK_BIT : 0;
    let at = this.#at;
    bytes[at] = BINARY;
    if (length < 126) {
      bytes[at + 1] = maskBit | length;
      at += 2;
    } else if (length < 65536) {
      bytes[at + 1] = maskBit | 126;
      bytes[at + 2] = length >>> 8;
      bytes[at + 3] = length;
      at += 4;
    } else {
      bytes[at + 1] = maskBit | 127;
      bytes.writeUInt32BE(0, at + 2);
      bytes.writeUInt32BE(length, at + 6);
      at += 10;
    }
    if (this.#masked) {
      this.#mask = randomMask();
      bytes.writeInt32BE(this.#mask, at);
      at += 4;
      this.#maskFrom = at;
    }
    this.#at = at;
    return slab;
  }

  /** A slab that is full lives on in the segments that point into it. */
  #nextSlab(): Slab {
    this.#endSegment();
    this.#slab = spare ?? newSlab();
    spare = undefined;
    this.#at = 0;
    this.#from = 0;
    return this.#slab;
  }

  /** Masks from `maskFrom` to the end of what is written. */
  #applyMask(): void {
    const { bytes, words } = this.#slab as Slab;
    applyMask(bytes, words, this.#maskFrom, this.#at, this.#mask);
  }
}

/** The same memory as bytes and as the words in which masking goes. */
interface Slab {
  readonly bytes: Buffer;
  readonly words: Int32Array;
}

/** One slab for all tunnels whose sockets keep up, so that an idle tunnel holds none. */
let spare: Slab | undefined;

function newSlab(): Slab {
  const memory = new ArrayBuffer(SLAB_BYTES);
  return { bytes: Buffer.from(memory), words: new Int32Array(memory) };
}

/** Keys come from the system's generator, as RFC 6455 section 10.3 asks, 1024 at a time. */
const masks = new Int32Array(1024);
let nextMask = masks.length;

function randomMask(): number {
  if (nextMask === masks.length) {
    randomFillSync(masks);
    nextMask = 0;
  }
  return masks[nextMask++] as number;
}
