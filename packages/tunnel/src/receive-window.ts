/**
 * The credit that one side has given. A stream's window is what the peer may have sent and the reader not yet taken;
 * the budget is the sum over the streams of one tunnel. Windows decide latency: a window above the bandwidth-delay
 * product stands as a queue in front of every other stream, so one grows only when its reader proves that it is short.
 */

/** A window is judged against this round trip at least, ms: below it, timers and event loops are what is measured. */
const MIN_RTT_MS = 1;
/** A stream's window aims at this many bandwidth-delay products: one in flight, a half for the batching of credit. */
const TARGET_PRODUCTS = 1.5;
/** Credit is returned once this part of the window is free; a half would idle a link whose product is the window. */
const RETURN_FRACTION = 4;

export class WindowBudget {
  /** Sum of the windows of all live streams, bytes. */
  granted = 0;
  readonly cap: number;
  readonly maxWindow: number;

  constructor(cap: number, maxWindow: number) {
    this.cap = cap;
    this.maxWindow = maxWindow;
  }

  /** How far a window of `size` may grow now. */
  room(size: number): number {
    return Math.max(0, Math.min(this.maxWindow - size, this.cap - this.granted));
  }
}

export class ReceiveWindow {
  /** Bytes that the peer may send without more credit. A frame beyond it is a FLOW_CONTROL_ERROR. */
  credit: number;
  /** Received bytes that the application has not reported as consumed. */
  unconsumed = 0;
  size: number;
  readonly #budget: WindowBudget;
  #returnable = 0;
  /** When the reader began to drain the present window, and how much of it has gone. */
  #drainSince = -1;
  #drained = 0;

  constructor(size: number, budget: WindowBudget) {
    this.size = size;
    this.credit = size;
    this.#budget = budget;
    budget.granted += size;
  }

  /** False if the peer has overrun its credit. */
  receive(bytes: number, now: number): boolean {
    if (bytes > this.credit) return false;
    if (this.#drainSince < 0) this.#drainSince = now;
    this.credit -= bytes;
    this.unconsumed += bytes;
    return true;
  }

  /** True if enough is free now to be worth a WINDOW_UPDATE. */
  consume(bytes: number): boolean {
    if (bytes > this.unconsumed) throw new RangeError(`consumed ${bytes} of ${this.unconsumed} bytes`);
    this.unconsumed -= bytes;
    this.#returnable += bytes;
    return this.#returnable * RETURN_FRACTION >= this.size;
  }

  /** The increment to send now: what was consumed, plus growth if the reader is quicker than the window. */
  takeIncrement(now: number, minRttMs: number | undefined): number {
    let increment = this.#returnable;
    this.#returnable = 0;
    this.#drained += increment;
    if (this.#drained >= this.size) {
      increment += this.#grow(now - this.#drainSince, minRttMs);
      this.#drained = 0;
      this.#drainSince = now;
    }
    this.credit += increment;
    return increment;
  }

  release(): void {
    this.#budget.granted -= this.size;
    this.size = 0;
  }

  #grow(elapsedMs: number, minRttMs: number | undefined): number {
    if (minRttMs === undefined) return 0;
    const rtt = Math.max(minRttMs, MIN_RTT_MS);
    const product = (this.#drained / Math.max(elapsedMs, 0.001)) * rtt;
    const target = Math.min(this.size * 2, Math.ceil(product * TARGET_PRODUCTS));
    const growth = Math.min(target - this.size, this.#budget.room(this.size));
    // Crumbs are not worth it: a window near its target would otherwise creep with every jitter.
    if (growth * 8 < this.size) return 0;
    this.size += growth;
    this.#budget.granted += growth;
    return growth;
  }
}
