import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalize, type Json } from "./canonical.ts";
import { isCanonicalRecord, RecordScanner } from "./canonical-bytes.ts";
import { MAX_RECORD_BYTES } from "./record.ts";

/** The definition, slow and plain. */
function isJcsOfItself(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_RECORD_BYTES || !isUtf8(bytes)) return false;
  const text = Buffer.from(bytes).toString();
  try {
    const value = JSON.parse(text) as Json;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    return canonicalize(value, integer) === text;
  } catch {
    return false;
  }
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError("a float");
  return String(value);
}

const same = (bytes: Uint8Array): void => {
  const expected = isJcsOfItself(bytes);
  if (isCanonicalRecord(bytes) !== expected) {
    throw new Error(`expected ${expected} for ${Buffer.from(bytes).toString("hex")}`);
  }
};

const withoutFloats = (value: unknown): unknown => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : 7;
  if (Array.isArray(value)) return value.map(withoutFloats);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutFloats(member)]));
};

/** Names and texts with what matters: controls, quotes, both sides of U+FFFF, the block between the surrogates and it. */
const oddText = fc.string({
  unit: fc.constantFrom(
    "a",
    "b",
    "_",
    '"',
    "\\",
    "/",
    "\n",
    "\u0000",
    "\u001f",
    "\u007f",
    "é",
    "\u2028",
    "\ue000",
    "😀",
  ),
  maxLength: 4,
});
/** The same cases each time: by chance the defect told of below comes in other ways too, about once in some hundred runs. */
fc.configureGlobal({ seed: 20_261_125 });

/**
 * No name that begins with a backslash: V8 13.6 can take a name that is written as an escape for such a name of an
 * earlier object: JSON.parse of {"":1,"\\":-1,"😀":2} and then of {"":1,"\u001f":-1,"😀":2} gives the first one twice.
 * The scanner is right there and the definition, which parses, is not.
 */
const parses = (name: string): boolean => !name.startsWith("\\");
const oddName = oddText.filter(parses);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, false, 0, -1, 2 ** 53 - 1, -(2 ** 53 - 1)),
    fc.maxSafeInteger(),
    oddText,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(oddName, tie("value"), { maxKeys: 4 }),
  ),
})).value;
const records = fc.dictionary(fc.oneof(oddName, fc.string({ maxLength: 5 }).filter(parses)), json, { maxKeys: 6 });

function hasEscapedName(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, member]) => JSON.stringify(name).includes("\\") || hasEscapedName(member));
}

describe("isCanonicalRecord", () => {
  test("takes the JCS form of any object without floats", () => {
    fc.assert(
      fc.property(records, (record) => {
        const bytes = Buffer.from(canonicalize(record as Json));
        expect(isCanonicalRecord(bytes)).toBe(true);
        // What parses is right only where V8 is (above): with names that need no escape.
        if (!hasEscapedName(record)) {
          expect(isJcsOfItself(bytes)).toBe(true);
          same(bytes);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("says what parsing and writing again says, for any JSON text", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "grapheme" }), fc.constantFrom(undefined, 1), (value, indent) => {
        same(Buffer.from(JSON.stringify({ a: value }, undefined, indent)));
        same(Buffer.from(JSON.stringify(withoutFloats({ b: value, a: value }))));
        same(Buffer.from(JSON.stringify(value)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("says the same after any byte was changed, taken out or put in, or two were swapped", () => {
    const telling = fc.constantFrom(
      ...Buffer.from('{}[]",:\\0123456789-+.eEtrufalsn \n'),
      0,
      0x7f,
      0x80,
      0xc3,
      0xed,
      0xf0,
    );
    const byte = fc.oneof(telling, fc.integer({ min: 0, max: 255 }));
    const change = fc.record({ at: fc.nat(), kind: fc.constantFrom("set", "cut", "put", "swap"), byte });
    fc.assert(
      fc.property(records, fc.array(change, { minLength: 1, maxLength: 3 }), (record, changes) => {
        let bytes: Buffer = Buffer.from(canonicalize(record as Json));
        for (const { at, kind, byte } of changes) bytes = changed(bytes, at % (bytes.length + 1), kind, byte);
        same(bytes);
      }),
      { numRuns: 5_000 },
    );
  });

  test.each([
    '{"a":1,"a":1}',
    '{"b":1,"a":1}',
    '{"ab":1,"a":1}',
    `{"\ue000":1,"😀":1}`,
    '{"a":1.0}',
    '{"a":1e3}',
    '{"a":-0}',
    '{"a":01}',
    '{"a":9007199254740992}',
    '{"a":90071992547409910}',
    '{"a":"\\u0041"}',
    '{"a":"\\u000A"}',
    '{"a":"\\u001F"}',
    '{"a":"\\n\\u0009"}',
    '{"a":"\\/"}',
    '{"a":"\\ud800"}',
    '{"a":1 }',
    ' {"a":1}',
    '{"a":1}\n',
    '{"a":1}{"a":1}',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":[,1]}',
    '{"a"}',
    '{"a":}',
    '{"a":tru}',
    '{"a":"}',
    '{"a":[1}',
    '{"a":{',
    "{",
    "[]",
    '"a"',
    "1",
    "",
  ])("refuses %s", (text) => {
    expect(isCanonicalRecord(Buffer.from(text))).toBe(false);
    same(Buffer.from(text));
  });

  test.each([
    "{}",
    '{"":0}',
    '{"a":{},"b":[],"c":[[],{}]}',
    '{"\\n":1,"!":2}',
    `{"😀":1,"\ue000":1}`,
    '{"a":"\\u001f"}',
  ])("takes %s", (text) => {
    expect(isCanonicalRecord(Buffer.from(text))).toBe(true);
    same(Buffer.from(text));
  });

  test("refuses UTF-8 that is none: overlong forms, surrogates, cut characters", () => {
    for (const hex of ["c0af", "eda080", "edbfbf", "f4908080", "e282", "80", "ff"]) {
      const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(hex, "hex"), Buffer.from('"}')]);
      expect(isCanonicalRecord(bytes)).toBe(false);
    }
  });

  test("takes 65,535 bytes and not one more, and nests as deep as they go", () => {
    const of = (length: number): Buffer => Buffer.from(`{"a":"${"x".repeat(length - 8)}"}`);
    expect(isCanonicalRecord(of(MAX_RECORD_BYTES))).toBe(true);
    expect(isCanonicalRecord(of(MAX_RECORD_BYTES + 1))).toBe(false);
    const deep = (MAX_RECORD_BYTES - 6) >> 1;
    expect(isCanonicalRecord(Buffer.from(`{"a":${"[".repeat(deep)}${"]".repeat(deep)}}`))).toBe(true);
    expect(isCanonicalRecord(Buffer.from(`{"a":${"[".repeat(MAX_RECORD_BYTES - 5)}`))).toBe(false);
  });
});

describe("RecordScanner", () => {
  test("knows afterwards where the record's own members stand, and those of no other object", () => {
    const record = { a: { deep: [1, { x: 2 }] }, bb: "text", c: 7, é: null };
    const leaf = Buffer.from(canonicalize(record));
    const bytes = Buffer.concat([Buffer.from("before"), leaf, Buffer.from("}after")]);
    const scanner = new RecordScanner();
    for (let again = 0; again < 2; again++) {
      expect(scanner.scan(bytes, 6, 6 + leaf.length)).toBe(true);
      const value = (name: string): unknown => {
        const member = scanner.find(name);
        return member === -1
          ? undefined
          : JSON.parse(bytes.toString("utf8", scanner.valueStart(member), scanner.valueEnd(member)));
      };
      expect(scanner.count).toBe(4);
      expect([value("a"), value("bb"), value("c"), value("b"), value("deep"), value("x")]).toEqual([
        record.a,
        "text",
        7,
        undefined,
        undefined,
        undefined,
      ]);
    }
    expect(scanner.scan(bytes, 6, 6 + leaf.length + 1)).toBe(false);
    expect(scanner.scan(bytes, 6, 6 + leaf.length - 1)).toBe(false);
  });
});

function changed(bytes: Buffer, at: number, kind: string, byte: number): Buffer {
  const before = bytes.subarray(0, at);
  if (kind === "put") return Buffer.concat([before, Buffer.from([byte]), bytes.subarray(at)]);
  if (kind === "cut") return Buffer.concat([before, bytes.subarray(at + 1)]);
  if (kind === "set") return Buffer.concat([before, Buffer.from([byte]), bytes.subarray(at + 1)]);
  const copy = Buffer.from(bytes);
  const other = (at + 1) % Math.max(1, bytes.length);
  [copy[at % Math.max(1, bytes.length)], copy[other]] = [bytes[other] ?? 0, bytes[at % Math.max(1, bytes.length)] ?? 0];
  return copy;
}
