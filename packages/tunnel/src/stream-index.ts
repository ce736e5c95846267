import type { Stream } from "./stream.ts";

/** Buckets at the start: a power of two. */
const FIRST_BUCKETS = 64;

/**
 * Live streams by id: buckets whose streams are chained through themselves.
 *
 * A Map would do, and costs a busy tunnel a tenth of its time: V8's Map makes a new table every few dozen changes, the
 * old table points to the new one and still holds its entries, and once one of them has grown old in the heap it keeps
 * all that follow, and every call in them, alive until the next full collection. Here nothing is left behind.
 *
 * A peer that chooses its ids so that they share a bucket makes us go through all of its streams, 1024 at most, a frame:
 * about as much work as the frame itself.
 */
export class StreamIndex {
  size = 0;
  #buckets: (Stream | undefined)[] = emptyBuckets(FIRST_BUCKETS);

  get(id: number): Stream | undefined {
    let stream = this.#buckets[this.#bucketOf(id)];
    while (stream !== undefined && stream.id !== id) stream = stream.nextInIndex;
    return stream;
  }

  /** The id must be new. */
  add(stream: Stream): void {
    if (this.size >= this.#buckets.length) this.#grow();
    this.size += 1;
    this.#link(stream);
  }

  /** Does nothing for a stream that is not there. */
  remove(stream: Stream): void {
    const bucket = this.#bucketOf(stream.id);
    const first = this.#buckets[bucket];
    if (first === stream) this.#buckets[bucket] = stream.nextInIndex;
    else {
      let before = first;
      while (before !== undefined && before.nextInIndex !== stream) before = before.nextInIndex;
      if (before === undefined) return;
      before.nextInIndex = stream.nextInIndex;
    }
    // What has ended must not keep alive what came after it.
    stream.nextInIndex = undefined;
    this.size -= 1;
  }

  /** A copy, by rising ids: handlers may open and close streams while it is gone through. */
  all(): Stream[] {
    const streams: Stream[] = [];
    for (const first of this.#buckets) {
      for (let stream = first; stream !== undefined; stream = stream.nextInIndex) streams.push(stream);
    }
    return streams.sort((a, b) => a.id - b.id);
  }

  /** The lowest bit tells only who opened it. */
  #bucketOf(id: number): number {
    return (id >>> 1) & (this.#buckets.length - 1);
  }

  #link(stream: Stream): void {
    const bucket = this.#bucketOf(stream.id);
    stream.nextInIndex = this.#buckets[bucket];
    this.#buckets[bucket] = stream;
  }

  #grow(): void {
    const streams = this.all();
    this.#buckets = emptyBuckets(this.#buckets.length * 2);
    for (const stream of streams) this.#link(stream);
  }
}

const emptyBuckets = (count: number): (Stream | undefined)[] => new Array<Stream | undefined>(count).fill(undefined);
