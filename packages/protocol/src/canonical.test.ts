import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalize, type Json } from "./canonical.ts";

describe("canonicalize", () => {
  test("sorts members by UTF-16 code units (the example of RFC 8785 §3.2.3)", () => {
    const unsorted = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    const order = Object.keys(JSON.parse(canonicalize(unsorted)) as object).filter((key) => key !== "1");
    expect(order).toEqual(["\r", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"]);
    expect(canonicalize(unsorted)).toMatch(/^\{"\\r":"Carriage Return","1":"One",/);
  });

  test("sorts keys that look like numbers as text, which plain objects do not", () => {
    expect(canonicalize({ "9": 1, "10": 2, "": 3, a: 4 })).toBe('{"":3,"10":2,"9":1,"a":4}');
  });

  test("escapes as RFC 8785 §3.2.2.2 says: the short forms, lower-case \\u00xx, and nothing else", () => {
    expect(canonicalize('\u20ac$\u000f\nA\'B"\\\\"/\u007f\u2028')).toBe(
      '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"',
    );
  });

  test("writes numbers as ECMAScript does (RFC 8785 appendix B)", () => {
    expect([333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0, 0].map((number) => canonicalize(number))).toEqual([
      "333333333.3333333",
      "1e+30",
      "4.5",
      "0.002",
      "1e-27",
      "0",
      "0",
    ]);
  });

  test("leaves out members that are undefined", () => {
    expect(canonicalize({ b: undefined, a: 1, c: { d: undefined } })).toBe('{"a":1,"c":{}}');
  });

  test.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["an infinity", Number.POSITIVE_INFINITY],
    ["a lone high surrogate", "a\ud800"],
    ["a lone low surrogate in a key", { "\udc00": 1 }],
    ["undefined in an array", [undefined]],
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is refused here
    ["a hole in an array", [1, , 2]],
    ["a function", { a: () => 1 }],
    ["a bigint", 1n],
    ["a symbol", Symbol("s")],
  ])("refuses %s", (_, value) => {
    expect(() => canonicalize(value as Json)).toThrow(TypeError);
  });

  test("is what sorting every object and JSON.stringify give, for any JSON", () => {
    const anyJson = fc.jsonValue({ stringUnit: "grapheme", maxDepth: 4 });
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(canonicalize(value as Json)).toBe(bySorting(value));
      }),
      { numRuns: 500 },
    );
  });

  test("parsed and written again, it is the same text", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalize(value as Json);
        expect(canonicalize(JSON.parse(text) as Json)).toBe(text);
      }),
    );
  });
});

/** The definition, slow and plain. */
function bySorting(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(bySorting).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
    .map(([key, member]) => `${JSON.stringify(key)}:${bySorting(member)}`);
  return `{${members.join(",")}}`;
}
