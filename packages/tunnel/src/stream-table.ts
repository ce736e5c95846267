import { RemoteProtocolError, TunnelErrorCode } from "@hoopish/protocol";
import type { Stream } from "./stream.ts";
import { StreamIndex } from "./stream-index.ts";

/** The live streams of one tunnel by id, and what an id means that is not among them (RFC 9113 section 5.1.1). */
export class StreamTable {
  /** Id of the next stream that this side opens: odd for the dialler, even for the acceptor. */
  nextOwnId: number;
  /** Highest id that the peer has opened. */
  lastPeerId = 0;
  ownCount = 0;
  peerCount = 0;
  /** What the GOAWAY that this side sent promises to handle; the peer's later streams are not looked at. */
  goawaySent: number | undefined = undefined;
  readonly #parity: number;
  readonly #streams: StreamIndex = new StreamIndex();
  /** Streams that this side reset while the peer may still be sending on them, with the credit the peer had left. */
  readonly #resetHere: Map<number, { credit: number; readonly barrier: bigint }> = new Map();

  constructor(firstOwnId: 1 | 2) {
    this.nextOwnId = firstOwnId;
    this.#parity = firstOwnId & 1;
  }

  get size(): number {
    return this.#streams.size;
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  /** A copy: handlers may open and close streams while it is gone through. */
  all(): Stream[] {
    return this.#streams.all();
  }

  add(stream: Stream): void {
    this.#streams.add(stream);
    if (this.isOwn(stream.id)) this.ownCount += 1;
    else this.peerCount += 1;
  }

  remove(stream: Stream): void {
    this.#streams.remove(stream);
    if (this.isOwn(stream.id)) this.ownCount -= 1;
    else this.peerCount -= 1;
  }

  isOwn(id: number): boolean {
    return (id & 1) === this.#parity;
  }

  /** Nobody has opened it yet. */
  isIdle(id: number): boolean {
    return this.isOwn(id) ? id >= this.nextOwnId : id > this.lastPeerId;
  }

  /** This side resets a stream. `barrier`: the PING whose answer shows that the peer has seen it. */
  rememberReset(id: number, credit: number, barrier: bigint): void {
    this.#resetHere.set(id, { credit, barrier });
  }

  /** The peer has ended the stream for its part, or has answered the PING `upTo`. */
  forgetReset(id: number): void {
    this.#resetHere.delete(id);
  }

  forgetResets(upTo: bigint): void {
    for (const [id, { barrier }] of this.#resetHere) {
      if (barrier > upTo) break;
      this.#resetHere.delete(id);
    }
  }

  /**
   * A frame of the peer on a stream that is not there. It is right only if it was on its way when this side reset the
   * stream (within the credit of that time), or belongs to a stream that our GOAWAY has ruled out.
   * @throws {RemoteProtocolError} in every other case.
   */
  acceptLate(what: string, id: number, bytes: number, endStream: boolean): void {
    const reset = this.#resetHere.get(id);
    if (reset !== undefined) {
      reset.credit -= bytes;
      if (reset.credit < 0) throw flowControlError(id);
      if (endStream) this.#resetHere.delete(id);
      return;
    }
    this.requireUsed(what, id);
    if (this.goawaySent !== undefined && !this.isOwn(id) && id > this.goawaySent) return;
    throw streamClosed(what, id);
  }

  /** @throws {RemoteProtocolError} if nobody has opened the stream. */
  requireUsed(what: string, id: number): void {
    if (!this.isIdle(id)) return;
    const message = `${what} on stream ${id}, which nobody has opened`;
    throw new RemoteProtocolError(TunnelErrorCode.PROTOCOL_ERROR, message);
  }
}

export function streamClosed(what: string, id: number): RemoteProtocolError {
  return new RemoteProtocolError(TunnelErrorCode.STREAM_CLOSED, `${what} on stream ${id}, which has ended`);
}

export function flowControlError(id: number): RemoteProtocolError {
  return new RemoteProtocolError(TunnelErrorCode.FLOW_CONTROL_ERROR, `stream ${id} goes beyond its credit`);
}
