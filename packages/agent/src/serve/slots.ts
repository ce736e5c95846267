/** Somebody who waits for a slot. `onSlot` is called at most once, when one is theirs. */
export interface Waiter<T> {
  onSlot(slot: T): void;
}

/**
 * So many things to be used by one at a time, made when first needed; who finds none waits, first come first served.
 * One that gives up while it waits is gone at once: behind a model server that hangs, the bodies of cancelled calls
 * must not pile up.
 */
export class Slots<T> {
  readonly #count: number;
  readonly #make: () => T;
  #made = 0;
  /** The last one used is the next one used: its socket is the freshest, and idle ones get to close. */
  readonly #idle: T[] = [];
  readonly #waiting: Set<Waiter<T>> = new Set();
  #handing = false;

  constructor(count: number, make: () => T) {
    this.#count = count;
    this.#make = make;
  }

  /** A slot that is the caller's until `giveBack`; undefined: `onSlot` will be called. */
  take(waiter: Waiter<T>): T | undefined {
    if (this.#waiting.size === 0) {
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#made < this.#count) {
        this.#made += 1;
        return this.#make();
      }
    }
    this.#waiting.add(waiter);
    return undefined;
  }

  /** Whoever waits gets it in a microtask, not here: it is given back from within the callbacks of what it is. */
  giveBack(slot: T): void {
    this.#idle.push(slot);
    if (this.#waiting.size === 0 || this.#handing) return;
    this.#handing = true;
    queueMicrotask(() => this.#hand());
  }

  /** No longer waits. */
  leave(waiter: Waiter<T>): void {
    this.#waiting.delete(waiter);
  }

  #hand(): void {
    for (const waiter of this.#waiting) {
      const slot = this.#idle.pop();
      if (slot === undefined) break;
      this.#waiting.delete(waiter);
      waiter.onSlot(slot);
    }
    this.#handing = false;
  }
}
