import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBodies } from "./comparison.ts";
import { jsonDifferences } from "./json-difference.ts";
import { textDifferences } from "./text-difference.ts";

const compare = (was: string | undefined, now: string) =>
  compareBodies(was === undefined ? undefined : Buffer.from(was), Buffer.from(now));

describe("two answers", () => {
  it("the same, none recorded, and no text", () => {
    expect(compare("a", "a")).toEqual({ kind: "same" });
    expect(compare(undefined, "a")).toEqual({ kind: "nothing_recorded" });
    expect(compareBodies(Buffer.from([0xff]), Buffer.from([0xfe, 0xff]))).toEqual({
      kind: "binary",
      wasBytes: 1,
      nowBytes: 2,
    });
  });

  it("JSON by member", () => {
    const was = { id: "a", choices: [{ message: "yes" }, { message: "no" }], "a b": 1 };
    const now = { id: "b", choices: [{ message: "yes" }], usage: null };
    expect(compare(JSON.stringify(was), JSON.stringify(now))).toEqual({
      kind: "json",
      more: false,
      differences: [
        { path: "$.id", was: "a", now: "b" },
        { path: "$.choices[1]", was: { message: "no" } },
        { path: '$["a b"]', was: 1 },
        { path: "$.usage", now: null },
      ],
    });
  });

  it("JSON that is only written differently", () => {
    expect(compare('{"a":1}', '{ "a": 1 }')).toMatchObject({ kind: "text", differences: [{ at: 1 }] });
  });

  it("streams by the text that they carried", () => {
    const stream = (id: string, text: string): string =>
      text
        .split(/(?<= )/)
        .map((content) => `data: ${JSON.stringify({ id, choices: [{ delta: { content } }] })}\n\n`)
        .join("");
    expect(compare(stream("1", "the rate is low"), stream("2", "the rate is low"))).toEqual({
      kind: "events",
      differences: [],
    });
    expect(compare(stream("1", "the rate is low"), stream("2", "the rate was low"))).toEqual({
      kind: "events",
      differences: [{ unit: "word", at: 3, was: ["is"], now: ["was"] }],
    });
  });

  it("says when there are more differences than it tells", () => {
    const many = (value: number): string => JSON.stringify(Array.from({ length: 1_500 }, () => value));
    const told = compare(many(1), many(2));
    expect(told).toMatchObject({ kind: "json", more: true });
  });
});

describe("text", () => {
  it("by line where there are lines", () => {
    expect(textDifferences("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n")).toEqual([
      { unit: "line", at: 2, was: ["b"], now: ["x"] },
      { unit: "line", at: 5, was: [], now: ["e"] },
    ]);
  });

  it("too large to be compared in detail is one difference, soon", () => {
    const lines = (seed: number): string => Array.from({ length: 5_000 }, (_, n) => `${(n * seed) % 7919}\n`).join("");
    const from = performance.now();
    expect(textDifferences(lines(31), lines(37))).toHaveLength(1);
    expect(performance.now() - from).toBeLessThan(1_000);
  });

  it("the differences turn the older text into the newer one", () => {
    const words = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 12 });
    fc.assert(
      fc.property(words, words, (was, now) => {
        const [old, fresh] = [`1\n2\n${was.join("\n")}\n`, `1\n2\n${now.join("\n")}\n`];
        const lines = old.split(/(?<=\n)/).map((line) => line.replace("\n", ""));
        for (const { at, was: gone, now: come } of textDifferences(old, fresh).reverse()) {
          expect(lines.splice(at - 1, gone.length, ...come)).toEqual(gone);
        }
        expect(lines.map((line) => `${line}\n`).join("")).toBe(fresh);
      }),
    );
  });
});

describe("JSON", () => {
  it("has no difference from itself, and one where a value was changed", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonDifferences(value, structuredClone(value), 10)).toEqual([]);
      }),
    );
    expect(jsonDifferences({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }, 10)).toEqual([
      { path: "$.a[1].b", was: 2, now: 3 },
    ]);
    // A member of every object's prototype is not a member of this one.
    expect(jsonDifferences({}, JSON.parse('{"constructor":1,"__proto__":2}'), 10)).toHaveLength(2);
  });
});
