import type { Buffer } from "node:buffer";
import type { FrameHeaders } from "@hoopish/protocol";
import type { StreamHandler } from "./api.ts";
import type { StreamResetError } from "./errors.ts";
import type { Stream } from "./stream.ts";

/** Calls handlers. One that throws, or is missing, loses its stream through `onFailure`; the tunnel goes on. */
export class HandlerCalls {
  readonly #onFailure: (stream: Stream, error: unknown) => void;

  constructor(onFailure: (stream: Stream, error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  data(stream: Stream, chunk: Buffer): void {
    // A stream that only waits for its last bytes to leave has nobody left to read for.
    if (stream.resetAfterEnd !== undefined) return;
    try {
      handlerOf(stream).onData(chunk, stream);
    } catch (error) {
      this.#onFailure(stream, error);
    }
  }

  headers(stream: Stream, headers: FrameHeaders, endStream: boolean): void {
    try {
      handlerOf(stream).onHeaders?.(headers, endStream, stream);
    } catch (error) {
      this.#onFailure(stream, error);
    }
  }

  end(stream: Stream, trailers: FrameHeaders | undefined): void {
    try {
      handlerOf(stream).onEnd(trailers, stream);
    } catch (error) {
      this.#onFailure(stream, error);
    }
  }

  reset(stream: Stream, error: StreamResetError): void {
    try {
      handlerOf(stream).onReset(error, stream);
    } catch (thrown) {
      this.#onFailure(stream, thrown);
    }
  }

  drain(stream: Stream): void {
    if (stream.state === "closed") return;
    try {
      handlerOf(stream).onDrain?.(stream);
    } catch (error) {
      this.#onFailure(stream, error);
    }
  }
}

function handlerOf(stream: Stream): StreamHandler {
  if (stream.handler === undefined) throw new Error(`stream ${stream.id} has no handler`);
  return stream.handler;
}
