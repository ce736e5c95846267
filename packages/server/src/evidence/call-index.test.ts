import { type CallId, newCallId } from "@hoopish/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CallIndex } from "./call-index.ts";

test("is a map, whatever comes and goes, also where all share a bucket", () => {
  const ids = Array.from({ length: 40 }, () => newCallId());
  // The same digits at the end, as no two that are made here have.
  const alike = ids.map((id, i) => `${id.slice(0, -8)}${String(i).padStart(2, "0")}aaaaaa` as CallId);
  const step = fc.tuple(fc.constantFrom("set", "delete"), fc.constantFrom(...ids, ...alike), fc.integer());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new CallIndex<number>();
      const map = new Map<CallId, number>();
      for (const [what, id, value] of steps) {
        if (what === "set") {
          index.set(id, value);
          map.set(id, value);
        } else {
          index.delete(id);
          map.delete(id);
        }
        expect(index.get(id)).toBe(map.get(id));
      }
      expect(index.size).toBe(map.size);
      for (const id of [...ids, ...alike]) expect([index.has(id), index.get(id)]).toEqual([map.has(id), map.get(id)]);
    }),
  );
});

test("grows with what is open, finds all of it, and is empty when cleared", () => {
  const index = new CallIndex<number>();
  const ids = Array.from({ length: 5_000 }, () => newCallId());
  for (const [i, id] of ids.entries()) index.set(id, i);
  expect(ids.map((id) => index.get(id))).toEqual(ids.map((_, i) => i));
  index.clear();
  expect(index.size).toBe(0);
  expect(ids.some((id) => index.has(id))).toBe(false);
});
