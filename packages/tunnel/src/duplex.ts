import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { type FrameHeaders, TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, TunnelStream } from "./api.ts";
import type { StreamResetError } from "./errors.ts";

export interface DuplexOptions {
  /** HEADERS that come back on a stream that this side opened. Trailers are dropped. */
  readonly onHeaders?: (headers: FrameHeaders, endStream: boolean) => void;
}

/** Chunks up to this size are joined while the reader is away, so that a small one does not hold a whole read. */
const JOIN_BYTES = 2048;
const BLOCK_BYTES = 16 * 1024;

/**
 * A stream as a Duplex, for `http.Server.emit("connection", …)` and for piping to a socket. Sets `stream.handler`.
 *
 * The peer's END_STREAM is the end of the readable side; `end()` sends END_STREAM. Destroying it before both sides have
 * ended resets the stream (CANCEL; after `end()` gently, NO_ERROR); a reset by the peer destroys it with a
 * {@link StreamResetError}. Credit goes back when the reader has taken the bytes. Written buffers are held by reference
 * until they are sent, which is later than the write callback: do not reuse them.
 */
export function toDuplex(stream: TunnelStream, options?: DuplexOptions): Duplex {
  return new StreamDuplex(stream, options?.onHeaders);
}

class StreamDuplex extends Duplex implements StreamHandler {
  /** Milliseconds without bytes either way until `timeout` is emitted, as net.Socket has it; 0: never. */
  timeout = 0;
  #idle: NodeJS.Timeout | undefined = undefined;
  readonly onHeaders?: (headers: FrameHeaders, endStream: boolean) => void;
  readonly #stream: TunnelStream;
  /** Bytes that arrived, and those of them whose credit has been returned. */
  #received = 0;
  #returned = 0;
  /** What arrived while the reader was away, in blocks that hold nothing else. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #block: Buffer | undefined = undefined;
  #blockUsed = 0;
  /** `_read` was called, and what it asked for has not been pushed. */
  #readerWaits = false;
  /** The reader found too little in the buffer, so whatever comes must be shown to it. */
  #hungry = false;
  #peerEnded = false;
  /** The callback of a write that filled the queue. */
  #afterDrain: ((error?: Error | null) => void) | undefined = undefined;
  /** The peer wants no more: what is written goes nowhere (RFC 9113 section 8.1). */
  #deaf = false;

  constructor(stream: TunnelStream, onHeaders: DuplexOptions["onHeaders"]) {
    super({ allowHalfOpen: true, emitClose: true });
    this.#stream = stream;
    if (onHeaders !== undefined) this.onHeaders = onHeaders;
    stream.handler = this;
  }

  // --- the stream's events ---

  onData(chunk: Buffer): void {
    this.#idle?.refresh();
    this.#received += chunk.length;
    if (this.#readerWaits && this.#waiting.length === 0 && this.#isShort()) this.#push(chunk);
    else {
      this.#keep(chunk);
      this.#feed();
    }
    this.#returnCredit();
  }

  onEnd(): void {
    this.#peerEnded = true;
    this.#feed();
  }

  onReset(error: StreamResetError): void {
    if (error.code === TunnelErrorCode.NO_ERROR && this.#peerEnded) {
      this.#deaf = true;
      this.onDrain();
    } else this.destroy(error);
  }

  onDrain(): void {
    const done = this.#afterDrain;
    this.#afterDrain = undefined;
    done?.();
  }

  // --- the readable side ---

  override _read(): void {
    this.#readerWaits = true;
    this.#returnCredit();
    this.#feed();
  }

  /** A reader that takes by hand what is in the buffer is not followed by `_read`, but its bytes are taken all the same. */
  override read(size?: number): unknown {
    const chunk = super.read(size);
    if (size === 0) return chunk;
    this.#hungry = chunk === null;
    this.#returnCredit();
    this.#feed();
    return chunk;
  }

  /** Whether the reader has nothing left, or not enough. */
  #isShort(): boolean {
    return this.#hungry || this.readableLength === 0;
  }

  /** Hands on what waits: while the reader has something to read, only whole blocks, so that small chunks are joined. */
  #feed(): void {
    while (this.#readerWaits && this.#waiting.length > 0) {
      if (!this.#isShort() && this.#waitingBytes < BLOCK_BYTES && !this.#peerEnded) return;
      this.#push(this.#nextWaiting());
    }
    if (this.#peerEnded && this.#waiting.length === 0) this.push(null);
  }

  #push(chunk: Buffer): void {
    // Before the push, because a flowing reader takes the chunk within it, and may ask for more.
    this.#hungry = false;
    this.#readerWaits = false;
    if (this.push(chunk)) this.#readerWaits = true;
  }

  #returnCredit(): void {
    const taken = this.#received - this.#waitingBytes - this.readableLength;
    // Less only if somebody has put bytes back (unshift).
    if (taken <= this.#returned) return;
    const bytes = taken - this.#returned;
    this.#returned = taken;
    this.#stream.consumed(bytes);
  }

  #keep(chunk: Buffer): void {
    this.#waitingBytes += chunk.length;
    if (chunk.length > JOIN_BYTES) {
      this.#closeBlock();
      this.#waiting.push(chunk);
      return;
    }
    if (this.#block === undefined || this.#blockUsed + chunk.length > BLOCK_BYTES) {
      this.#closeBlock();
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#waiting.push(this.#block);
    }
    this.#blockUsed += chunk.copy(this.#block, this.#blockUsed);
    this.#waiting[this.#waiting.length - 1] = this.#block.subarray(0, this.#blockUsed);
  }

  #closeBlock(): void {
    this.#block = undefined;
    this.#blockUsed = 0;
  }

  #nextWaiting(): Buffer {
    const chunk = this.#waiting.shift() as Buffer;
    if (this.#waiting.length === 0) this.#closeBlock();
    this.#waitingBytes -= chunk.length;
    return chunk;
  }

  // --- the writable side ---

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#idle?.refresh();
    if (this.#deaf || this.#stream.write(chunk)) done();
    else this.#afterDrain = done;
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#idle?.refresh();
    let room = true;
    if (!this.#deaf) for (const { chunk } of chunks) room = this.#stream.write(chunk);
    if (room) done();
    else this.#afterDrain = done;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream.state !== "closed" && !(this.writableFinished && this.#peerEnded)) {
      stream.reset(this.writableFinished && error === null ? TunnelErrorCode.NO_ERROR : TunnelErrorCode.CANCEL);
    }
    clearTimeout(this.#idle);
    this.#waiting = [];
    this.#closeBlock();
    this.#afterDrain = undefined;
    done(error);
  }

  // --- what node:http expects of a socket ---

  setTimeout(milliseconds: number, onTimeout?: () => void): this {
    clearTimeout(this.#idle);
    this.timeout = milliseconds;
    this.#idle = milliseconds > 0 ? setTimeout(() => this.emit("timeout"), milliseconds).unref() : undefined;
    if (onTimeout === undefined) return this;
    return milliseconds > 0 ? this.once("timeout", onTimeout) : this.off("timeout", onTimeout);
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
