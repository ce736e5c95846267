import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BodyReader } from "./body-reader.ts";
import { PostgresProtocolError } from "./protocol-error.ts";

const FIELDS = {
  byte: (reader: BodyReader) => reader.byte(),
  int16: (reader: BodyReader) => reader.int16(),
  uint16: (reader: BodyReader) => reader.uint16(),
  int32: (reader: BodyReader) => reader.int32(),
  uint32: (reader: BodyReader) => reader.uint32(),
  text: (reader: BodyReader) => reader.text(),
  rest: (reader: BodyReader) => reader.rest(),
} as const;
const names = Object.keys(FIELDS) as (keyof typeof FIELDS)[];

describe("a body", () => {
  it("is read to its end and never beyond, in whatever order it is asked", () => {
    const asked = fc.array(fc.oneof(fc.constantFrom(...names), fc.integer({ min: -2, max: 40 })), { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ maxLength: 20 }),
        asked,
        (inside, outside, fields) => {
          // The bytes after it belong to the next message.
          const all = Buffer.concat([inside, outside]);
          const alone = new BodyReader(Buffer.from(inside));
          const view = new BodyReader(all.subarray(0, inside.length));
          const read = (reader: BodyReader, field: keyof typeof FIELDS | number): unknown => {
            try {
              return typeof field === "number" ? reader.bytes(field) : FIELDS[field](reader);
            } catch (error) {
              expect(error).toBeInstanceOf(PostgresProtocolError);
              return "refused";
            }
          };
          for (const field of fields) {
            const before = view.left;
            expect(read(view, field)).toEqual(read(alone, field));
            expect(view.left).toBe(alone.left);
            expect(view.left).toBeLessThanOrEqual(before);
            expect(view.left).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });

  it("gives what was written", () => {
    const bytes = Buffer.concat([
      Buffer.from([7, 0xff, 0xfe, 0xff, 0xfe]),
      Buffer.alloc(8, 0xff),
      Buffer.from("ü\0x\0yz"),
    ]);
    const reader = new BodyReader(bytes);
    expect([reader.byte(), reader.int16(), reader.uint16(), reader.int32(), reader.uint32()]).toEqual([
      ...[7, -2, 65_534, -1, 4_294_967_295],
    ]);
    expect([reader.text(), reader.text(), reader.left]).toEqual(["ü", "x", 2]);
    expect(() => reader.text()).toThrow(/does not end/);
    expect(() => reader.done()).toThrow(/longer/);
    expect(() => reader.bytes(3)).toThrow(/shorter/);
    expect(() => reader.bytes(-1)).toThrow(PostgresProtocolError);
    expect(reader.rest().toString()).toBe("yz");
    expect(() => reader.done()).not.toThrow();
  });

  it.each([
    ["a byte of none", [0xff, 0]],
    ["an overlong NUL", [0xc0, 0x80, 0]],
    ["half a surrogate pair", [0xed, 0xa0, 0x80, 0]],
    ["a character that breaks off", [0xe2, 0x82, 0]],
  ])("has no text with %s", (_what, bytes) => {
    expect(() => new BodyReader(Buffer.from(bytes)).text()).toThrow(/UTF-8/);
  });
});
