import { RemoteProtocolError, TunnelErrorCode } from "@hoopish/protocol";

/** Silent intervals after which the peer is taken for dead. */
const MAX_SILENT_INTERVALS = 2;
/** The first round trips are measured back to back: one alone may have met a busy event loop. */
const FIRST_SAMPLES = 3;

/** Whether the peer is alive, and how far away. One PING is under way at a time. Time is given, never read. */
export class Keepalive {
  /** Shortest round trip so far, milliseconds. The shortest is the path; the rest is queues. */
  minRttMs: number | undefined = undefined;
  /** A PING should be sent. */
  due = true;
  #next = 1n;
  #outstanding: { readonly opaque: bigint; readonly sentAt: number } | undefined;
  #samples = 0;
  #heard = true;
  #silentIntervals = 0;

  /** The number of the next PING: what is sent before it has been handled by the peer when its answer arrives. */
  get barrier(): bigint {
    return this.#next;
  }

  /** The peer sent something. */
  heard(): void {
    this.#heard = true;
  }

  /** Once an interval. False: the peer is dead. */
  tick(): boolean {
    this.#silentIntervals = this.#heard ? 0 : this.#silentIntervals + 1;
    this.#heard = false;
    if (this.#outstanding === undefined) this.due = true;
    return this.#silentIntervals < MAX_SILENT_INTERVALS;
  }

  /** The eight bytes of the PING that is sent now. */
  sending(now: number): bigint {
    const opaque = this.#next;
    this.#next += 1n;
    this.#outstanding = { opaque, sentAt: now };
    this.due = false;
    return opaque;
  }

  /** An answer. @throws {RemoteProtocolError} to no PING of ours: it would let the peer choose our round trip time. */
  answered(opaque: bigint, now: number): void {
    const sent = this.#outstanding;
    if (sent === undefined || sent.opaque !== opaque) {
      throw new RemoteProtocolError(TunnelErrorCode.PROTOCOL_ERROR, "PING answer to no PING");
    }
    this.#outstanding = undefined;
    const rtt = now - sent.sentAt;
    if (this.minRttMs === undefined || rtt < this.minRttMs) this.minRttMs = rtt;
    this.#samples += 1;
    this.due = this.#samples < FIRST_SAMPLES;
  }
}
