/** Bytes of requests that may stand in memory while people decide. Beyond it a caller is told at once to come back. */
const MAX_WAITING_BYTES = 67_108_864;
/** What a waiting call costs beside its body. */
const CALL_BYTES = 16_384;

/** Where the calls of one server that wait for people are counted. */
export class WaitingRoom {
  #bytes = 0;

  /** @returns undefined when there is no room */
  enter(body: Buffer): (() => void) | undefined {
    const cost = body.length + CALL_BYTES;
    if (this.#bytes + cost > MAX_WAITING_BYTES) return undefined;
    this.#bytes += cost;
    return () => {
      this.#bytes -= cost;
    };
  }
}
