import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Stream } from "./stream.ts";
import { StreamIndex } from "./stream-index.ts";

/** What the index knows of a stream. */
const entry = (id: number): Stream => ({ id, nextInIndex: undefined }) as unknown as Stream;

test("holds what a Map would hold, for ids that share buckets too", () => {
  // Multiples of 4096 fall into one bucket, and into few when the buckets grow.
  const id = fc.oneof(
    fc.integer({ min: 1, max: 400 }),
    fc.integer({ min: 1, max: 200 }).map((n) => n * 4096),
  );
  fc.assert(
    fc.property(fc.array(fc.record({ id, add: fc.boolean() }), { maxLength: 600 }), (steps) => {
      const index = new StreamIndex();
      const map = new Map<number, Stream>();
      for (const { id, add } of steps) {
        const known = map.get(id);
        if (add && known === undefined) {
          const stream = entry(id);
          index.add(stream);
          map.set(id, stream);
        } else if (!add && known !== undefined) {
          index.remove(known);
          map.delete(id);
          // A second time is nothing.
          index.remove(known);
        }
        expect(index.get(id)).toBe(map.get(id));
      }
      expect(index.size).toBe(map.size);
      expect(index.all().map((stream) => stream.id)).toEqual([...map.keys()].sort((a, b) => a - b));
    }),
  );
});

test("keeps nothing of a stream that is gone, not even through what has grown old in the heap", () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "minor" }) => void;
  const index = new StreamIndex();
  const live: Stream[] = [];
  const churn = (from: number, to: number): void => {
    for (let id = from; id < to; id += 2) {
      live.push(Object.assign(entry(id), { call: new Array<number>(250).fill(id) }));
      index.add(live.at(-1) as Stream);
      if (live.length > 32) index.remove(live.shift() as Stream);
      if (id % 2000 === 1) gc({ type: "minor" });
    }
  };
  churn(1, 20_001);
  // A quiet moment, in which what is there grows old.
  for (let times = 0; times < 3; times++) gc({ type: "minor" });
  const before = process.memoryUsage().heapUsed;
  churn(20_001, 60_001);
  gc({ type: "minor" });
  // 40 MB have come and gone. With a Map all of it is still there, since only its young part was looked through.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(8_000_000);
});
