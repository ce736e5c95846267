import { setTimeout as sleep } from "node:timers/promises";

/** A pause between calls is not waited for longer. */
const LONGEST_PAUSE_MS = 3_000;

/** How fast a replay plays: `max` never waits. */
export type Speed = number | "max";

/** Waits between what is shown, as long as it took when it was recorded. */
export class Pace {
  readonly #speed: Speed;
  readonly #signal: AbortSignal;
  /** Where the recording is, milliseconds; and when that was shown. */
  #atMs = 0;
  #shownMs = performance.now();

  constructor(speed: Speed, signal: AbortSignal) {
    this.#speed = speed;
    this.#signal = signal;
  }

  /**
   * Settles when `atMs` of the recording has come. Calls that ran side by side are shown one after the other: for the
   * later one, time begins again.
   * @returns milliseconds of a pause that were left out
   * @throws the signal's reason
   */
  async until(atMs: number, kind: "pause" | "exchange"): Promise<number> {
    this.#signal.throwIfAborted();
    const wholeMs = Math.max(0, atMs - this.#atMs);
    this.#atMs = atMs;
    if (this.#speed === "max") return 0;
    const longestMs = kind === "pause" ? LONGEST_PAUSE_MS * this.#speed : wholeMs;
    const waitMs = Math.min(wholeMs, longestMs) / this.#speed;
    const leftMs = this.#shownMs + waitMs - performance.now();
    this.#shownMs += waitMs;
    if (leftMs > 0) await sleep(leftMs, undefined, { signal: this.#signal });
    else this.#shownMs = performance.now();
    return Math.max(0, wholeMs - longestMs);
  }

  /** A person decides when it goes on. */
  rest(atMs: number): void {
    this.#atMs = atMs;
    this.#shownMs = performance.now();
  }
}
