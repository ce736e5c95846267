import { Buffer } from "node:buffer";
import { encodeHeaders, type FrameHeaders, type TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, StreamState, TunnelStream } from "./api.ts";
import { QUEUE_HIGH_BYTES } from "./limits.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import { SendQueue } from "./send-queue.ts";

/**
 * This side's direction of a stream: `headers` may still be sent, then only `data`; `ending` has its end queued
 * behind data; `ended` has handed END_STREAM to the socket.
 */
export type SendPhase = "headers" | "data" | "ending" | "ended";

/** What a stream asks of the connection that it is part of. */
export interface StreamOwner {
  sendControl(frame: Buffer): void;
  /** The stream may have DATA to send. */
  wantsToSend(stream: Stream): void;
  /** This side's END_STREAM is on its way. */
  localEnded(stream: Stream): void;
  /** Enough was consumed for a WINDOW_UPDATE. */
  owesCredit(stream: Stream): void;
  resetStream(stream: Stream, code: TunnelErrorCode, reason: string | undefined): void;
}

/** The state of one stream, moved by the connection on one side and by the application on the other. */
export class Stream implements TunnelStream {
  readonly id: number;
  readonly headers: FrameHeaders;
  handler: StreamHandler | undefined = undefined;
  state: StreamState = "open";

  sendPhase: SendPhase = "headers";
  /** Bytes that the peer still allows this side to send. Never below 0. */
  credit: number;
  readonly queue: SendQueue = new SendQueue();
  trailers: Buffer | undefined = undefined;
  /** A `write` returned false and `onDrain` has not been called since. */
  blocked = false;
  /** What to reset with once END_STREAM is out: a gentle reset. */
  resetAfterEnd: TunnelErrorCode | undefined = undefined;
  /** Links of the round robin. */
  inRound = false;
  nextInRound: Stream | undefined = undefined;
  /** The next one of its bucket in the table of live streams. */
  nextInIndex: Stream | undefined = undefined;

  readonly window: ReceiveWindow;
  creditOwed = false;
  /** HEADERS received after the opening ones, and whether DATA came: decides what further HEADERS mean. */
  headersReceived: number;
  dataReceived = false;

  readonly #owner: StreamOwner;

  constructor(
    owner: StreamOwner,
    id: number,
    headers: FrameHeaders,
    credit: number,
    window: ReceiveWindow,
    openedByPeer: boolean,
  ) {
    this.#owner = owner;
    this.id = id;
    this.headers = headers;
    this.credit = credit;
    this.window = window;
    this.headersReceived = openedByPeer ? 1 : 0;
  }

  get writableQueued(): number {
    return this.queue.bytes;
  }

  sendHeaders(headers: object, options?: { readonly endStream?: boolean }): void {
    if (this.state === "closed") return;
    if (this.sendPhase !== "headers") throw new Error("HEADERS after DATA or after the end of the stream");
    const endStream = options?.endStream === true;
    this.#owner.sendControl(encodeHeaders(this.id, headers, endStream));
    if (endStream) this.#owner.localEnded(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.state === "closed") return false;
    if (this.sendPhase === "ending" || this.sendPhase === "ended") throw new Error("write after the end of the stream");
    if (chunk.length > 0) this.#enqueue(chunk);
    if (this.queue.bytes <= QUEUE_HIGH_BYTES) return true;
    this.blocked = true;
    return false;
  }

  end(chunk?: Uint8Array): void {
    if (this.state === "closed" || this.sendPhase === "ending" || this.sendPhase === "ended") return;
    if (chunk !== undefined && chunk.length > 0) this.#enqueue(chunk);
    this.sendPhase = "ending";
    this.#owner.wantsToSend(this);
  }

  endWithTrailers(headers: object): void {
    if (this.state === "closed" || this.sendPhase === "ending" || this.sendPhase === "ended") return;
    this.trailers = encodeHeaders(this.id, headers, true);
    this.sendPhase = "ending";
    this.#owner.wantsToSend(this);
  }

  reset(code: TunnelErrorCode, reason?: string): void {
    this.#owner.resetStream(this, code, reason);
  }

  consumed(bytes: number): void {
    if (this.state === "closed" || bytes === 0) return;
    if (!this.window.consume(bytes) || this.creditOwed) return;
    // A peer that has ended its direction needs no credit.
    if (this.state === "half-closed-remote") return;
    this.creditOwed = true;
    this.#owner.owesCredit(this);
  }

  #enqueue(chunk: Uint8Array): void {
    this.sendPhase = "data";
    this.queue.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#owner.wantsToSend(this);
  }
}
