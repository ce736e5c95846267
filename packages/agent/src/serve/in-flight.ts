/** Something that can be in one `InFlight`: it keeps its place there. */
export interface Placed {
  place: number;
}

/**
 * What is under way, in no order. An array whose gaps are filled by the last one, and no Set: V8's Set leaves a table
 * behind every few dozen changes, and old tables keep the calls in them alive until the next full collection.
 */
export class InFlight<T extends Placed> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** The item must be here. */
  remove(item: T): void {
    const last = this.#items.pop() as T;
    if (last === item) return;
    this.#items[item.place] = last;
    last.place = item.place;
  }

  /** A copy: what is told to end leaves while it is gone through. */
  all(): T[] {
    return [...this.#items];
  }
}
