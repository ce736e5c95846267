import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RingBatch, RingReader, RingWriter } from "./ring.ts";
import { controlOf, ringOf } from "./shared.ts";

const CONTROL_BYTES = 64;
const memoryOf = (ringBytes: number): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_BYTES + ringBytes);

interface Step {
  readonly kind: "write" | "read" | "abandon";
  /** write: bytes asked for; read: batches that are taken. */
  readonly amount: number;
  /** write: bytes left unused. */
  readonly less: number;
}

const steps = (ringBytes: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom("write", "write", "write", "read", "abandon"),
      amount: fc.oneof(
        fc.integer({ min: 0, max: Math.min(40, ringBytes / 2 - 24) }),
        fc.integer({ min: 0, max: ringBytes / 2 - 24 }),
      ),
      less: fc.integer({ min: 0, max: 30 }),
    }) as fc.Arbitrary<Step>,
    { maxLength: 120 },
  );

/** Two rings' ends and what a queue would hold. */
class Model {
  readonly writer: RingWriter;
  readonly reader: RingReader;
  readonly queue: { readonly bytes: Buffer; readonly seq: number; readonly direct: boolean }[] = [];
  readonly #ringBytes: number;
  #seq = 0;

  constructor(ringBytes: number) {
    const memory = memoryOf(ringBytes);
    // What stood there before must not matter: here every word says SKIP.
    ringOf(memory).fill(Buffer.of(2, 0, 0, 0));
    this.#ringBytes = ringBytes;
    this.writer = new RingWriter(memory);
    this.reader = new RingReader(memory);
  }

  write({ amount, less }: Step): void {
    const place = this.writer.place(amount);
    if (place === undefined) {
      // Only for want of room: one that is allowed at all fits when everything before it is gone.
      expect(this.queue.length).toBeGreaterThan(0);
      return;
    }
    expect(place.length).toBe(amount);
    const length = Math.max(0, amount - less);
    const seq = ++this.#seq;
    const bytes = Buffer.alloc(length, Buffer.of(seq & 0xff, (seq >> 8) & 0xff, 2, 0, 0));
    bytes.copy(place);
    const direct = seq % 3 === 0;
    this.writer.publish(length, seq, direct);
    this.queue.push({ bytes, seq, direct });
  }

  /** Looks at everything, takes `count` of it. */
  read(count: number): void {
    let last: RingBatch | undefined;
    let at = 0;
    for (const batch of this.reader.batches()) {
      const expected = this.queue[at];
      expect([batch.seq, batch.direct]).toEqual([expected?.seq, expected?.direct]);
      expect(batch.bytes.equals(expected?.bytes as Buffer), `batch ${batch.seq}`).toBe(true);
      if (at < count) last = batch;
      at += 1;
    }
    expect(at).toBe(this.queue.length);
    if (last === undefined) return;
    this.reader.release(last);
    this.queue.splice(0, Math.min(count, at));
  }

  check(): void {
    const empty = this.queue.length === 0;
    expect([this.writer.empty, this.reader.empty]).toEqual([empty, empty]);
    expect(this.writer.waiting).toBe(this.reader.waiting);
    expect(this.writer.waiting).toBeLessThan(this.#ringBytes);
    const least = this.queue.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(this.writer.waiting).toBeGreaterThanOrEqual(least);
  }
}

describe("the ring", () => {
  test.each([64, 128, 1024])("of %i bytes gives back what went in, in order, whatever comes and goes", (ringBytes) => {
    fc.assert(
      fc.property(steps(ringBytes), (all) => {
        const model = new Model(ringBytes);
        for (const step of all) {
          if (step.kind === "write") model.write(step);
          // A place that was asked for and not used changes nothing.
          else if (step.kind === "abandon") model.writer.place(step.amount);
          else model.read(1 + (step.amount % 4));
          model.check();
        }
        model.read(Number.POSITIVE_INFINITY);
        model.check();
      }),
      { numRuns: 300 },
    );
  });

  test("takes a batch of the largest size wherever it stands, once all before it is gone", () => {
    const ringBytes = 1024;
    for (let offset = 0; offset < ringBytes; offset += 8) {
      const model = new Model(ringBytes);
      for (let at = 0; at < offset; at += 24) {
        model.write({ kind: "write", amount: 8, less: 0 });
        model.read(1);
      }
      const place = model.writer.place(model.writer.maxBytes);
      expect(place?.length, `after ${offset} bytes`).toBe(model.writer.maxBytes);
    }
  });

  test("that is full takes nothing, and does not look empty", () => {
    const model = new Model(128);
    for (let i = 0; i < 20; i++) model.write({ kind: "write", amount: 1, less: 0 });
    expect(model.queue.length).toBeGreaterThan(3);
    model.check();
    expect(model.writer.place(0)).toBeUndefined();
    model.read(1);
    expect(model.writer.place(0)).toBeDefined();
    model.read(Number.POSITIVE_INFINITY);
    model.check();
  });

  test("that is cleared begins anew", () => {
    const model = new Model(128);
    for (let i = 0; i < 3; i++) model.write({ kind: "write", amount: 8, less: 0 });
    model.writer.clear();
    model.queue.length = 0;
    model.check();
    model.write({ kind: "write", amount: 32, less: 0 });
    model.read(1);
    model.check();
  });

  test("knows its place in the control words", () => {
    const memory = memoryOf(128);
    expect(controlOf(memory)).toHaveLength(CONTROL_BYTES / 4);
    expect(ringOf(memory)).toHaveLength(128);
  });
});
