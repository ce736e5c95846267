import { controlOf, RING_HEAD, RING_TAIL, ringOf } from "./shared.ts";

/**
 * Batches on their way to the writer's thread, one after another in shared memory; what stands there is either durable in
 * the intake, or waits for the database (`direct`).
 *
 *   u32 length · u32 flags · f64 seq · the batch, padded to 8 bytes
 *
 * A batch never wraps around: one that does not fit before the end begins at 0, and SKIP says so where there is room for it.
 */
const HEAD_BYTES = 16;
const ALIGN = 8;
const DIRECT = 1;
const SKIP = 2;

const aligned = (length: number): number => length + ((ALIGN - (length % ALIGN)) % ALIGN);

/** The server thread's end. One batch at a time: place, fill, publish. */
export class RingWriter {
  readonly #control: Int32Array;
  readonly #ring: Buffer;
  #start = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#control = controlOf(memory);
    this.#ring = ringOf(memory);
  }

  /** The longest batch that is sure to fit once everything before it is gone. */
  get maxBytes(): number {
    return this.#ring.length / 2 - HEAD_BYTES - ALIGN;
  }

  get empty(): boolean {
    return Atomics.load(this.#control, RING_HEAD) === Atomics.load(this.#control, RING_TAIL);
  }

  /** Bytes that wait for the database. */
  get waiting(): number {
    const waiting = Atomics.load(this.#control, RING_TAIL) - Atomics.load(this.#control, RING_HEAD);
    return waiting >= 0 ? waiting : waiting + this.#ring.length;
  }

  /** Room for a batch of up to `bytes`; undefined: not now. */
  place(bytes: number): Buffer | undefined {
    const size = HEAD_BYTES + aligned(bytes);
    const tail = Atomics.load(this.#control, RING_TAIL);
    const head = Atomics.load(this.#control, RING_HEAD);
    // Empty: from the beginning again, so that a ring that is never full touches little of its memory.
    if (head === tail && size < head) {
      this.#start = 0;
      return this.#ring.subarray(HEAD_BYTES, HEAD_BYTES + bytes);
    }
    // The tail never catches up with the head from behind: equal means empty.
    if (head > tail) this.#start = tail + size < head ? tail : -1;
    else if (tail + size <= this.#ring.length - ALIGN) this.#start = tail;
    else this.#start = size < head ? 0 : -1;
    if (this.#start === -1) return undefined;
    return this.#ring.subarray(this.#start + HEAD_BYTES, this.#start + HEAD_BYTES + bytes);
  }

  /** Gives the batch that was written into the place, of `length` bytes, to the writer's thread. */
  publish(length: number, seq: number, direct: boolean): void {
    const tail = Atomics.load(this.#control, RING_TAIL);
    if (this.#start !== tail && tail + HEAD_BYTES <= this.#ring.length) this.#ring.writeUInt32LE(SKIP, tail + 4);
    this.#ring.writeUInt32LE(length, this.#start);
    this.#ring.writeUInt32LE(direct ? DIRECT : 0, this.#start + 4);
    this.#ring.writeDoubleLE(seq, this.#start + 8);
    Atomics.store(this.#control, RING_TAIL, this.#start + HEAD_BYTES + aligned(length));
  }

  /** Everything in it is forgotten: the writer's thread is gone. */
  clear(): void {
    Atomics.store(this.#control, RING_TAIL, 0);
    Atomics.store(this.#control, RING_HEAD, 0);
  }
}

export interface RingBatch {
  readonly seq: number;
  /** Somebody waits until the database has it. */
  readonly direct: boolean;
  /** Lies in shared memory: good until it is released. */
  readonly bytes: Buffer;
  readonly end: number;
}

/** The writer thread's end. */
export class RingReader {
  readonly #control: Int32Array;
  readonly #ring: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.#control = controlOf(memory);
    this.#ring = ringOf(memory);
  }

  get empty(): boolean {
    return this.#head === Atomics.load(this.#control, RING_TAIL);
  }

  get waiting(): number {
    const waiting = Atomics.load(this.#control, RING_TAIL) - this.#head;
    return waiting >= 0 ? waiting : waiting + this.#ring.length;
  }

  /** What waits, in its order, from the first that was not released. */
  *batches(): Generator<RingBatch> {
    let at = this.#head;
    while (at !== Atomics.load(this.#control, RING_TAIL)) {
      if (at + HEAD_BYTES > this.#ring.length || this.#ring.readUInt32LE(at + 4) === SKIP) {
        at = 0;
        continue;
      }
      const length = this.#ring.readUInt32LE(at);
      const start = at + HEAD_BYTES;
      const end = start + aligned(length);
      const direct = this.#ring.readUInt32LE(at + 4) === DIRECT;
      yield {
        seq: this.#ring.readDoubleLE(at + 8),
        direct,
        bytes: this.#ring.subarray(start, start + length),
        end,
      };
      at = end;
    }
  }

  /** The batch, and all before it, are done with: their room is free. */
  release({ end }: RingBatch): void {
    Atomics.store(this.#control, RING_HEAD, end);
  }

  get #head(): number {
    return Atomics.load(this.#control, RING_HEAD);
  }
}
