import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageToJson } from "./json.ts";
import { GrpcSchema } from "./schema.ts";
import { bank, oip } from "./testing/messages.ts";
import { encodeVarint, ProtobufError, varintAt, WireReader } from "./wire.ts";

const fieldsOf = (...bytes: number[]): [number, number, string][] => {
  const reader = new WireReader(Buffer.from(bytes));
  const found: [number, number, string][] = [];
  while (reader.next()) {
    found.push([reader.number, reader.wire, reader.bytes.toString("hex", reader.from, reader.to)]);
  }
  return found;
};

describe("the wire", () => {
  it("is read field by field", () => {
    expect(fieldsOf(0x08, 0x96, 0x01, 0x12, 2, 65, 66, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8)).toEqual([
      [1, 0, "9601"],
      [2, 2, "4142"],
      [3, 5, "01020304"],
      [4, 1, "0102030405060708"],
    ]);
    // The largest number that a field may have.
    expect(fieldsOf(0xf8, 0xff, 0xff, 0xff, 0x0f, 0)).toEqual([[0x1fffffff, 0, "00"]]);
  });

  it.each([
    ["a group", [0x0b, 0x0c]],
    ["the end of a group", [0x0c]],
    ["wire type 6", [0x0e]],
    ["wire type 7", [0x0f]],
    ["field 0", [0x00, 0x00]],
    ["field 0 with a length", [0x02, 0x00]],
    ["a varint of eleven bytes", [0x08, ...Array(10).fill(0x80), 1]],
    ["a varint of more than 64 bits", [0x08, ...Array(9).fill(0xff), 2]],
    ["a tag of more than 32 bits", [0xf8, 0xff, 0xff, 0xff, 0x1f, 0]],
    ["a tag of six bytes", [0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0]],
    ["a length beyond the end", [0x12, 3, 65]],
    ["a length beyond everything", [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["a varint that breaks off", [0x08, 0x80]],
    ["a fixed number that breaks off", [0x0d, 1, 2, 3]],
    ["a tag alone", [0x08]],
  ])("refuses %s", (_, bytes) => {
    expect(() => fieldsOf(...bytes)).toThrow(ProtobufError);
  });

  it("varints are what they were", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = encodeVarint(value);
        expect(varintAt(bytes, 0, bytes.length)).toBe(value);
      }),
    );
    expect(varintAt(Buffer.from([...Array(9).fill(0xff), 1]), 0, 10)).toBe(0xffffffffffffffffn);
  });

  it("of any bytes has an end: fields, or its own error", () => {
    const type = GrpcSchema.builtin().method("/inference.GRPCInferenceService/ModelInfer")?.request;
    if (type === undefined) throw new Error("no type");
    const valid = oip.encode("inference.ModelInferRequest", {
      model_name: "m",
      inputs: [{ name: "a", datatype: "BYTES", shape: [1], contents: { bytes_contents: [Buffer.from("x")] } }],
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(valid.length - 1), fc.nat(255), (noise, at, byte) => {
        const flipped = Buffer.from(valid);
        flipped[at] = byte;
        for (const bytes of [Buffer.from(noise), flipped, valid.subarray(0, at)]) {
          try {
            messageToJson(type, bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtobufError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("JSON of a message", () => {
  const type = GrpcSchema.builtin().with([bank.descriptorSet()]).method("/bank.v1.Desk/Score")?.request;
  if (type === undefined) throw new Error("no type");
  const json = (value: object): unknown => messageToJson(type, bank.encode("bank.v1.Person", value));

  it("has the file's names, and numbers where they are safe", () => {
    expect(
      json({
        first_name: "Ada",
        ssn: 123456789,
        account_numbers: [1, -2],
        score: 0.5,
        guarantor: { note: "é", delta: -3 },
        tags: { a: "b", ["__proto__"]: "c" },
        others: { 7: { small: -1 } },
        photo: Buffer.from([1, 2, 3]),
        status: 3,
        embedding: [0.5, Number.NaN],
        card: "4111111111111111",
      }),
    ).toEqual({
      first_name: "Ada",
      ssn: 123456789,
      account_numbers: [1, -2],
      score: 0.5,
      guarantor: { note: "é", delta: -3 },
      tags: JSON.parse('{"a":"b","__proto__":"c"}'),
      others: { 7: { small: -1 } },
      photo: "AQID",
      status: "CLOSED",
      embedding: [0.5, "NaN"],
      card: 4111111111111111,
    });
  });

  it("has what is no safe number as text", () => {
    const ones = Array<number>(9).fill(0xff);
    const of = (...bytes: number[]): unknown => messageToJson(type, Buffer.from(bytes));
    expect(of(0x78, ...ones, 1)).toEqual({ big: "18446744073709551615" });
    expect(of(0x18, ...ones, 1)).toEqual({ ssn: -1 });
    expect(of(0x18, ...Array<number>(9).fill(0x80), 1)).toEqual({ ssn: "-9223372036854775808" });
    expect(of(0x68, ...ones, 1)).toEqual({ delta: "-9223372036854775808" });
    expect(of(0x71, ...Array<number>(8).fill(0xff))).toEqual({ card: "18446744073709551615" });
    expect(of(0x50, 4)).toEqual({ status: 4 });
  });

  it("is protobufjs's for any message of numbers", () => {
    const person = fc.record(
      {
        ssn: fc.maxSafeInteger(),
        // Doubled on the wire.
        delta: fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }),
        card: fc.maxSafeNat(),
        big: fc.maxSafeNat(),
        small: fc.integer(),
        score: fc.double({ noNaN: true, noDefaultInfinity: true }),
        account_numbers: fc.array(fc.maxSafeInteger()),
        note: fc.string({ unit: "grapheme" }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(person, (value) => {
        const bytes = bank.encode("bank.v1.Person", value);
        const ours = messageToJson(type, bytes) as Record<string, unknown>;
        const theirs = bank.decode("bank.v1.Person", bytes);
        for (const name of ["ssn", "delta", "card", "big"]) {
          expect(ours[name] === undefined ? undefined : String(ours[name])).toBe(theirs[name]);
        }
        for (const name of ["small", "score", "note"]) expect(ours[name]).toBe(theirs[name]);
        expect(((ours.account_numbers ?? []) as number[]).map(String)).toEqual(theirs.account_numbers ?? []);
      }),
    );
  });

  it("says that there is more than it has", () => {
    const more = Buffer.concat([bank.encode("bank.v1.Person", { note: "a" }), Buffer.from([0xa2, 0x06, 1, 65])]);
    expect(messageToJson(type, more)).toEqual({ note: "a", unknownFields: true });
    // A field of another kind than its type has is none of its type's.
    expect(messageToJson(type, Buffer.from([0x10, 1]))).toEqual({ unknownFields: true });
  });

  it("joins what comes twice as protobuf does", () => {
    const twice = Buffer.concat([
      bank.encode("bank.v1.Person", { note: "a", guarantor: { note: "x", ssn: 1 } }),
      bank.encode("bank.v1.Person", { note: "b", guarantor: { note: "y" } }),
    ]);
    expect(messageToJson(type, twice)).toEqual({ note: "b", guarantor: { note: "y", ssn: 1 } });
  });

  it.each([
    ["a text that is not UTF-8", Buffer.from([0x12, 1, 0xff])],
    ["a list with half a number", Buffer.from([0x5a, 3, 0, 0, 0])],
    ["what is nested too deeply", nested(101)],
    ["a million empty messages", Buffer.concat(Array(1_000_001).fill(Buffer.from([0x62, 0])))],
  ])("refuses %s", (_, bytes) => {
    expect(() => messageToJson(type, bytes)).toThrow(ProtobufError);
  });

  it("takes what is nested a hundred times", () => {
    expect(messageToJson(type, nested(100))).toHaveProperty("guarantor.guarantor");
  });
});

/** A guarantor's guarantor's … */
function nested(depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) bytes = Buffer.concat([Buffer.from([0x32]), encodeVarint(bytes.length), bytes]);
  return bytes;
}
