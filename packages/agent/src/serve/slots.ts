/** Somebody who waits for a slot. `onSlot` is called once, when one is theirs. */
export interface Waiter {
  onSlot(): void;
}

/**
 * So many at one time; the others wait in the order in which they came. One that gives up while it waits is gone at
 * once, which undici's own queue does not do: there the bodies of cancelled calls would pile up behind a model server
 * that hangs.
 */
export class Slots {
  #free: number;
  #handing = false;
  readonly #waiting: Set<Waiter> = new Set();

  constructor(count: number) {
    this.#free = count;
  }

  /** True: a slot is the waiter's now. False: it waits for `onSlot`. */
  take(waiter: Waiter): boolean {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    this.#waiting.add(waiter);
    return false;
  }

  giveBack(): void {
    this.#free += 1;
    if (this.#handing) return;
    // A waiter may give its slot back within `onSlot`; a loop, because a thousand that do would overflow the stack.
    this.#handing = true;
    for (const next of this.#waiting) {
      if (this.#free === 0) break;
      this.#free -= 1;
      this.#waiting.delete(next);
      next.onSlot();
    }
    this.#handing = false;
  }

  /** No longer waits. */
  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }
}
