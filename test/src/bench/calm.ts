import { setTimeout as sleep } from "node:timers/promises";
import { watchOthers } from "./machine.ts";

/** Share of the machine's CPU that other programs may take before a measurement is thought to be disturbed. */
const CALM_SHARE = 0.1;
const LOOK_MS = 400;

export interface Calm<T> {
  readonly result: T;
  /** Share of the machine's CPU that other programs took meanwhile. */
  readonly othersCpu: number;
}

/**
 * On a machine that others use too: waits for them to pause, and measures again what they disturbed, as long as the
 * patience lasts. On a quiet machine it does nothing.
 */
export class Patience {
  #leftMs: number;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  /** Measures until nobody disturbs; without patience, the least disturbed time counts. */
  async measure<T>(unit: () => Promise<T>): Promise<Calm<T>> {
    let best: Calm<T> | undefined;
    for (;;) {
      await this.#untilCalm();
      const othersShare = watchOthers();
      const start = performance.now();
      const result = await unit();
      const othersCpu = othersShare();
      if (best === undefined || othersCpu < best.othersCpu) best = { result, othersCpu };
      if (best.othersCpu <= CALM_SHARE || this.#leftMs <= 0) return best;
      this.#leftMs -= performance.now() - start;
    }
  }

  async #untilCalm(): Promise<void> {
    while (this.#leftMs > 0) {
      const othersShare = watchOthers();
      await sleep(LOOK_MS);
      if (othersShare() <= CALM_SHARE) return;
      this.#leftMs -= LOOK_MS;
    }
  }
}
