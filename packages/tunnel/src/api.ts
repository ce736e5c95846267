import type { Buffer } from "node:buffer";
import type { FrameHeaders, TunnelErrorCode } from "@hoopish/protocol";
import type { StreamResetError } from "./errors.ts";

/** What a stream is to each side, RFC 9113 section 5.1; `idle` is an id that nobody has used yet. */
export type StreamState = "open" | "half-closed-local" | "half-closed-remote" | "closed";

/** Receives what happens on one stream, synchronously. The stream is also the last argument, for shared handlers. */
export interface StreamHandler {
  /** HEADERS after the opening ones: the answer's headers. */
  onHeaders?(headers: FrameHeaders, endStream: boolean, stream: TunnelStream): void;
  /**
   * The bytes are the handler's. Credit goes back only through `stream.consumed(bytes)`, once they are dealt with.
   * A chunk is a view of what the socket delivered, so a handler that holds many small ones should copy them.
   */
  onData(chunk: Buffer, stream: TunnelStream): void;
  /** The peer sends no more on this stream. `trailers`: the HEADERS that ended it, if HEADERS did. */
  onEnd(trailers: FrameHeaders | undefined, stream: TunnelStream): void;
  /** The stream is gone: the peer reset it, or the tunnel ended. Not called for one's own `reset`. */
  onReset(error: StreamResetError, stream: TunnelStream): void;
  /** After a `write` that returned false: the queue is short again. */
  onDrain?(stream: TunnelStream): void;
}

/** One stream of a tunnel. Its two directions end apart; it is gone when both have, or at a reset. */
export interface TunnelStream {
  /** Odd: opened by the dialler. Even: by the acceptor. Never used again within a tunnel. */
  readonly id: number;
  /** The opening HEADERS. Those of a stream that the peer opened are the peer's words: parse before use. */
  readonly headers: FrameHeaders;
  readonly state: StreamState;
  /** Set once: by `open`, by `toDuplex`, or within `onStream`. */
  handler: StreamHandler | undefined;
  /** Bytes written and not yet handed to the socket. */
  readonly writableQueued: number;
  /** Answer headers; before the first write. @throws {RangeError} over 64 KiB; {Error} out of order. */
  sendHeaders(headers: object, options?: { readonly endStream?: boolean }): void;
  /**
   * Queues bytes by reference: they belong to the tunnel from then on, and must not change. False asks the caller to wait
   * for `onDrain`; what was written is sent all the same. On a stream that is gone it does nothing and returns false.
   */
  write(chunk: Uint8Array): boolean;
  /** Ends this side's direction, after what is queued. */
  end(chunk?: Uint8Array): void;
  /** Ends this side's direction with HEADERS. @throws {RangeError} over 64 KiB. */
  endWithTrailers(headers: object): void;
  /**
   * Ends the stream at once and drops what is queued. Only NO_ERROR after `end()` is gentle: the queue is sent first,
   * and then the peer is asked to stop sending (RFC 9113 section 8.1). `reason` is cut to 1 KiB.
   */
  reset(code: TunnelErrorCode, reason?: string): void;
  /** Returns credit for received bytes. @throws {RangeError} more than were received. */
  consumed(bytes: number): void;
}

export interface OpenOptions {
  /** The opening HEADERS (or `body`, if given) are all that this side sends. */
  readonly endStream?: boolean;
  /** First bytes of the stream; leaves in the same write as the HEADERS. */
  readonly body?: Uint8Array;
}

/** Takes frames from the core in the order in which they go out. */
export interface FrameSink {
  /** A whole frame. */
  message(frame: Buffer): void;
  /** The head of a DATA frame; pieces of `length` bytes in total follow at once (none if 0). */
  data(streamId: number, flags: number, length: number): void;
  piece(chunk: Buffer, start: number, end: number): void;
}
