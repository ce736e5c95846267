import type { Charge, Usage } from "./question.ts";

/** A window is counted in so many parts: what falls out of it falls out part by part. */
const PARTS = 60;
/** Counters, at most; whoever fills them cannot make another's vanish: new ones are then counted in one that is shared. */
const MAX_KEYS = 100_000;
const SHARED_KEY = "more than are counted one by one";

interface Part {
  readonly from: number;
  calls: number;
  rows: number;
  tokens: number;
}

/** What rates have counted, in memory: sliding windows. A server that starts fills them from the log (restore-usage.ts). */
export class RateCounters {
  readonly #windows = new Map<string, Part[]>();

  usage(key: string, perMs: number, nowMs: number): Usage {
    const sum = { calls: 0, rows: 0, tokens: 0 };
    const window = this.#windows.get(this.#keyFor(key));
    for (const part of window ?? []) {
      if (part.from <= nowMs - perMs) continue;
      sum.calls += part.calls;
      sum.rows += part.rows;
      sum.tokens += part.tokens;
    }
    return sum;
  }

  charge({ key, perMs, calls, rows, tokens }: Charge, nowMs: number): void {
    const name = this.#keyFor(key);
    const width = Math.max(1, Math.ceil(perMs / PARTS));
    // A part counts until the whole of it is out of the window: never too little.
    const from = Math.floor(nowMs / width) * width + width - 1;
    const window = this.#windows.get(name) ?? [];
    while (window.length > 0 && (window[0] as Part).from <= nowMs - perMs) window.shift();
    let last = window.at(-1);
    if (last === undefined || last.from < from) {
      last = { from, calls: 0, rows: 0, tokens: 0 };
      window.push(last);
    }
    last.calls += calls;
    last.rows += rows;
    last.tokens += tokens;
    this.#windows.set(name, window);
    if (this.#windows.size > MAX_KEYS / 2) this.#forget(nowMs);
  }

  #keyFor(key: string): string {
    return this.#windows.has(key) || this.#windows.size < MAX_KEYS ? key : SHARED_KEY;
  }

  /** The longest window is 31 days: a counter whose last part is older counts nothing. */
  #forget(nowMs: number): void {
    for (const [key, window] of this.#windows) {
      if ((window.at(-1)?.from ?? 0) < nowMs - 31 * 86_400_000) this.#windows.delete(key);
    }
  }
}
