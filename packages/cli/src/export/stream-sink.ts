import type { Writable } from "node:stream";
import { HoopishError } from "@hoopish/protocol";
import type { Sink } from "./download.ts";

/** Standard output: waits for its reader, and is given up when that has gone. */
export class StreamSink implements Sink {
  readonly #stream: Writable;
  readonly #signal: AbortSignal;
  #bytes = 0;

  constructor(stream: Writable, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => reject(this.#signal.reason);
      this.#signal.addEventListener("abort", stop, { once: true });
      this.#stream.write(bytes, (error) => {
        this.#signal.removeEventListener("abort", stop);
        if (error) reject(closed());
        else resolve();
      });
    });
    this.#bytes += bytes.byteLength;
  }
}

/** For other commands a reader that has had enough is no failure; of an export he has only a part. */
export const closed = (): HoopishError =>
  new HoopishError("conflict", "stdout was closed before the export was complete");
