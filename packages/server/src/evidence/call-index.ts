import type { CallId } from "@hoopish/protocol";

interface Entry<T> {
  readonly call: CallId;
  value: T;
  next: Entry<T> | undefined;
}

/** A power of two. */
const FIRST_BUCKETS = 64;
/** Hexadecimal digits at the end of an id: random, and made here, so nobody chooses who shares a bucket. */
const HASHED_DIGITS = 6;

/**
 * Something for each call that is open. Buckets of chained entries, and no Map: each call comes and goes, V8's Map leaves
 * a table behind every few dozen changes, and one that has grown old in the heap keeps all that came after it alive until
 * the next full collection.
 */
export class CallIndex<T> {
  #buckets: (Entry<T> | undefined)[] = buckets(FIRST_BUCKETS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(call: CallId): T | undefined {
    return this.#find(call)?.value;
  }

  has(call: CallId): boolean {
    return this.#find(call) !== undefined;
  }

  set(call: CallId, value: T): void {
    const known = this.#find(call);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    if (this.#size >= this.#buckets.length) this.#grow();
    this.#link({ call, value, next: undefined });
    this.#size += 1;
  }

  delete(call: CallId): void {
    const bucket = this.#bucketOf(call);
    let before: Entry<T> | undefined;
    for (let entry = this.#buckets[bucket]; entry !== undefined; entry = entry.next) {
      if (entry.call === call) {
        if (before === undefined) this.#buckets[bucket] = entry.next;
        else before.next = entry.next;
        // What has ended must not keep alive what came after it.
        entry.next = undefined;
        this.#size -= 1;
        return;
      }
      before = entry;
    }
  }

  clear(): void {
    this.#buckets = buckets(FIRST_BUCKETS);
    this.#size = 0;
  }

  #find(call: CallId): Entry<T> | undefined {
    let entry = this.#buckets[this.#bucketOf(call)];
    while (entry !== undefined && entry.call !== call) entry = entry.next;
    return entry;
  }

  #bucketOf(call: string): number {
    let hash = 0;
    for (let i = call.length - HASHED_DIGITS; i < call.length; i++) hash = (hash << 4) ^ call.charCodeAt(i);
    return hash & (this.#buckets.length - 1);
  }

  #link(entry: Entry<T>): void {
    const bucket = this.#bucketOf(entry.call);
    entry.next = this.#buckets[bucket];
    this.#buckets[bucket] = entry;
  }

  #grow(): void {
    const full = this.#buckets;
    this.#buckets = buckets(full.length * 2);
    for (const first of full) {
      for (let entry = first; entry !== undefined; ) {
        const { next } = entry;
        this.#link(entry);
        entry = next;
      }
    }
  }
}

const buckets = <T>(count: number): (Entry<T> | undefined)[] => new Array<Entry<T> | undefined>(count).fill(undefined);
