import { type StreamError, TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, TunnelStream } from "@hoopish/tunnel";

/** So much of a refused call's body is read and dropped; one that is longer is asked to stop. */
const DISCARD_BYTES = 64 * 1024;

/**
 * Answers a stream with an error at once. A short body is read to its end and not reset: resets are counted by the
 * other end, and a flood of refusals must not look like an attack on it.
 */
export function refuse(stream: TunnelStream, endStream: boolean, error: StreamError): void {
  stream.handler = endStream ? IGNORING : new Discarding();
  stream.sendHeaders({ error }, { endStream: true });
}

class Discarding implements StreamHandler {
  #left = DISCARD_BYTES;
  onData(chunk: Buffer, stream: TunnelStream): void {
    this.#left -= chunk.length;
    if (this.#left < 0) stream.reset(TunnelErrorCode.NO_ERROR);
    else stream.consumed(chunk.length);
  }
  onEnd(): void {}
  onReset(): void {}
}

const IGNORING: StreamHandler = { onData() {}, onEnd() {}, onReset() {} };
