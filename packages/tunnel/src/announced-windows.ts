import { DEFAULT_INITIAL_WINDOW } from "./limits.ts";
import type { WindowBudget } from "./receive-window.ts";

/**
 * The initial window that this side announces, which falls to a minimum while the tunnel's windows are near their cap.
 * A SETTINGS holds for streams that this side opens after sending it, and for streams that the peer opens after having
 * answered it: both orders are fixed by the frames' own order, so both ends always agree about a stream's credit.
 */
export class AnnouncedWindows {
  /** For a stream that this side opens now. */
  ownStreams: number;
  /** For a stream that the peer opens now. */
  peerStreams: number = DEFAULT_INITIAL_WINDOW;
  readonly #normal: number;
  readonly #minimum: number;
  readonly #unanswered: number[];

  constructor(normal: number, minimum: number) {
    this.#normal = normal;
    this.#minimum = Math.min(minimum, normal);
    this.ownStreams = normal;
    this.#unanswered = [normal];
  }

  /** False if there was nothing to answer. */
  answered(): boolean {
    const window = this.#unanswered.shift();
    if (window === undefined) return false;
    this.peerStreams = window;
    return true;
  }

  /** A new window to announce, if the tunnel's total asks for one. */
  adjust(budget: WindowBudget): number | undefined {
    const { granted, cap } = budget;
    const next = granted > cap * 0.75 ? this.#minimum : granted < cap * 0.5 ? this.#normal : this.ownStreams;
    if (next === this.ownStreams) return undefined;
    this.ownStreams = next;
    this.#unanswered.push(next);
    return next;
  }

  /** Whether the tunnel has room for one more stream of the peer's. At the minimum there always is. */
  admits(budget: WindowBudget): boolean {
    return this.peerStreams <= this.#minimum || budget.granted + this.peerStreams <= budget.cap;
  }
}
