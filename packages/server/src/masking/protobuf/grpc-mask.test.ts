import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, GrpcFrameReader } from "../../protobuf/framing.ts";
import { GrpcSchema } from "../../protobuf/schema.ts";
import { bank, type Messages, oip, rawBytes } from "../../protobuf/testing/messages.ts";
import { encodeVarint } from "../../protobuf/wire.ts";
import { parseFieldPath } from "../field-path.ts";
import { type Action, buildPlan, type MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { testMac, testPlan } from "../testing/plan.ts";
import { PII_TYPES } from "../types.ts";
import { countGrpcFindings } from "./count-findings.ts";
import { createGrpcMasker, GrpcMask } from "./grpc-mask.ts";
import { maskMessage } from "./mask-message.ts";
import { maskTrailerMessage } from "./trailer.ts";

const schema = GrpcSchema.builtin().with([bank.descriptorSet()]);
const typeOf = (path: string, part: "request" | "response") => {
  const type = schema.method(path)?.[part];
  if (type === undefined) throw new Error(`no type of ${path}`);
  return type;
};
const PERSON = typeOf("/bank.v1.Desk/Score", "response");
const ANSWER = typeOf("/inference.GRPCInferenceService/ModelInfer", "response");
const REQUEST = typeOf("/inference.GRPCInferenceService/ModelInfer", "request");
const plan = testPlan();
const nothing = buildPlan([], undefined, testMac);
const refused = expect.objectContaining({ code: "response_uninspectable" });

const rules = (paths: readonly string[], action: Action = { kind: "redact" }): MaskPlan =>
  buildPlan([{ detect: [], fields: paths.map((path) => parseFieldPath(path) as never), action }], undefined, testMac);

/** What becomes of a message, read again by protobufjs: of a field alone it does not tell 0 from nothing. */
function masked(of: Messages, name: string, value: object, by: MaskPlan = plan): Record<string, unknown> {
  const type = [PERSON, ANSWER, REQUEST].find((one) => one.name === name);
  if (type === undefined) throw new Error(`no type ${name}`);
  return of.decode(name, maskMessage(type, of.encode(name, value), by, new Tally(by)));
}
const person = (value: object, by?: MaskPlan): Record<string, unknown> => masked(bank, "bank.v1.Person", value, by);
const answer = (value: object, by?: MaskPlan): Record<string, unknown> =>
  masked(oip, "inference.ModelInferResponse", value, by);

describe("messages", () => {
  it.each([
    ["a text", { note: "his SSN is 123-45-6789, yes" }, { note: "his SSN is [US_SSN], yes" }],
    ["a text that is not ASCII", { note: "é 123-45-6789 ü" }, { note: "é [US_SSN] ü" }],
    ["digits of another script", { note: "card ４１１１ 1111 1111 1111" }, { note: "card [CREDIT_CARD]" }],
    ["a field whose name says what it is", { first_name: "Ada" }, { first_name: "[PERSON]" }],
    ["a neighbour that says what it is", { kind: "SSN", value: "123456789" }, { kind: "SSN", value: "[US_SSN]" }],
    ["a message in a message", { guarantor: { note: "123-45-6789" } }, { guarantor: { note: "[US_SSN]" } }],
    ["an entry whose key says what it is", { tags: { ssn: "123456789" } }, { tags: { ssn: "[US_SSN]" } }],
    ["a key", { tags: { "123-45-6789": "x" } }, { tags: { "[US_SSN]": "x" } }],
    ["a message in a map", { others: { 7: { note: "123-45-6789" } } }, { others: { 7: { note: "[US_SSN]" } } }],
    ["each of a list", { lines: ["a", "123-45-6789", "b"] }, { lines: ["a", "[US_SSN]", "b"] }],
    ["JSON in a text", { note: '{"a":"\\u0031\\u0032\\u0033-45-6789"}' }, { note: '{"a":"[US_SSN]"}' }],
    ["a text written as JSON", { note: '"\\u0031\\u0032\\u0033-45-6789"' }, { note: '"[US_SSN]"' }],
    ["a number by its name", { ssn: 123456789, amount: 123456789 }, { amount: "123456789" }],
    ["a card as a number", { amount: 4111111111111111 }, {}],
    ["a card as a fixed number", { card: "4111111111111111" }, {}],
    ["a card as a double", { score: 4111111111111111 }, {}],
    ["a card in a list", { account_numbers: [1, 4111111111111111, 2] }, { account_numbers: ["1", "0", "2"] }],
  ])("%s", (_, value, expected) => {
    expect(person(value)).toEqual(expected);
  });

  it("keep everything else of what is masked in their depth", () => {
    const deep = (note: string): object => {
      let value: object = { note, lines: ["x".repeat(300)] };
      for (let i = 0; i < 60; i++) value = { guarantor: value, small: i, note: `n${i}`, embedding: [i, 0.5] };
      return value;
    };
    const expected = JSON.stringify(bank.decode("bank.v1.Person", bank.encode("bank.v1.Person", deep("[US_SSN]"))));
    expect(JSON.stringify(person(deep("123-45-6789")))).toBe(expected);
  });

  it("grow and shrink with the lengths around them", () => {
    // 127 and 128: where a length takes a byte more.
    for (let size = 100; size < 140; size++) {
      const note = "x ".repeat(size / 2);
      const value = (text: string): object => ({ guarantor: { guarantor: { note: note + text }, small: 1 }, small: 2 });
      expect(person(value("123-45-6789 4111111111111111"))).toEqual(person(value("[US_SSN] [CREDIT_CARD]"), nothing));
    }
  });

  it.each([
    ["amounts", { amount: 123456, note: "USD 1,234,567.89 and 2024-01-31" }],
    ["ids", { note: "order 7f1b5f0e-8a9e-4e7c-9c61-0a1b2c3d4e5f", big: "9007199254740991" }],
    ["floats", { embedding: Array.from({ length: 1_536 }, (_, i) => Math.fround(Math.sin(i) * 1e9)) }],
    ["times", { amount: 1700000000, big: 1700000000123 }],
  ])("leaves %s as they are", (_, value) => {
    const bytes = bank.encode("bank.v1.Person", value);
    expect(maskMessage(PERSON, bytes, plan, new Tally(plan))).toBe(bytes);
  });

  it("are the same bytes when nothing is looked for", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 30 });
    const one = fc.record(
      {
        note: text,
        ssn: fc.maxSafeInteger(),
        lines: fc.array(text),
        tags: fc.dictionary(text, text),
        score: fc.double(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(one, one, (value, guarantor) => {
        const bytes = bank.encode("bank.v1.Person", { ...value, guarantor });
        expect(maskMessage(PERSON, bytes, nothing, new Tally(nothing)).equals(bytes)).toBe(true);
      }),
    );
  });

  it("are masked the same wherever the value stands among other texts", () => {
    const word = fc.constantFrom("loan", "é", "approved", "{", "[x", '"', "12", "%", "\\u0031");
    fc.assert(
      fc.property(fc.array(word), fc.array(word), (before, after) => {
        const around = (value: string): string => [...before, value, ...after].join(" ");
        const out = person({ note: around("123-45-6789"), guarantor: { lines: [around("4111111111111111")] } });
        expect(out).toEqual({ note: around("[US_SSN]"), guarantor: { lines: [around("[CREDIT_CARD]")] } });
      }),
    );
  });

  it.each([
    ["bytes", { photo: Buffer.from("123-45-6789") }],
    ["bytes in a message", { guarantor: { photo: Buffer.from([1]) } }],
  ])("with %s cannot be looked into", (_, value) => {
    expect(() => person(value)).toThrow(refused);
  });

  it.each([
    ["a field that its type does not have", Buffer.from([0xa2, 0x06, 1, 65])],
    ["a field of another kind", Buffer.from([0x1a, 1, 65])],
    ["a text that is not UTF-8", Buffer.from([0x12, 1, 0xff])],
    ["a group", Buffer.from([0x0b, 0x0c])],
    ["a list that ends in the middle of a float", Buffer.from([0x5a, 3, 0, 0, 0])],
    ["a list that ends in the middle of a number", Buffer.from([0x22, 1, 0x80])],
    ["an end too early", Buffer.from([0x12, 5, 65])],
    ["too many messages in one another", nested(101)],
  ])("with %s cannot be looked into; where that is allowed they pass, and it is told", (_, bytes) => {
    expect(() => maskMessage(PERSON, bytes, plan, new Tally(plan))).toThrow(refused);
    const heard: string[] = [];
    const tally = new Tally(plan);
    expect(maskMessage(PERSON, bytes, plan, tally, { unseen: (why) => heard.push(why) })).toBe(bytes);
    expect(heard).toHaveLength(1);
  });

  it("that may pass unseen are masked where they can be seen", () => {
    const bytes = bank.encode("bank.v1.Person", { note: "123-45-6789", photo: Buffer.from([1]) });
    const heard: string[] = [];
    const tally = new Tally(plan);
    const out = maskMessage(PERSON, bytes, plan, tally, { unseen: (why) => heard.push(why) });
    expect(bank.decode("bank.v1.Person", out)).toMatchObject({ note: "[US_SSN]" });
    expect(heard).toEqual([expect.stringMatching(/bytes/)]);
    expect(tally.masked()).toEqual({ US_SSN: 1 });
  });

  it("keep the field of a number that becomes 0", () => {
    const bytes = bank.encode("bank.v1.Person", { ssn: 123456789, score: 0.5, card: 4111111111111111 });
    const zeros = [...maskMessage(PERSON, bytes, rules(["$.ssn", "$.score", "$.card"]), new Tally(plan))];
    expect(zeros).toEqual([0x18, 0, 0x29, ...Array(8).fill(0), 0x71, ...Array(8).fill(0)]);
  });

  it("hide nothing in numbers that no type describes: a text may be cut into them", () => {
    // "SSN " as field 255, "23-45-67" as field 6: one byte changed in a tensor's parameter.
    const text = Buffer.concat([Buffer.from([0xfd, 0x0f]), Buffer.from("SSN 123-45-6789")]);
    const bytes = Buffer.concat([Buffer.from([0x22, text.length + 5, 0x0a, 1, 0x6b, 0x12, text.length]), text]);
    expect(() => maskMessage(ANSWER, bytes, plan, new Tally(plan))).toThrow(refused);
    const card = Buffer.concat([Buffer.from([0xa0, 0x06]), encodeVarint(4111111111111111)]);
    expect(() => maskMessage(PERSON, card, plan, new Tally(plan))).toThrow(refused);
  });

  it.each([
    ["$.note", { note: "[FIELD]", guarantor: { note: "b" }, small: 5 }],
    ["$..note", { note: "[FIELD]", guarantor: { note: "[FIELD]" }, small: 5 }],
    ["$.guarantor", { note: "a", guarantor: { note: "[FIELD]" }, small: 5 }],
    ["$.small", { note: "a", guarantor: { note: "b" } }],
  ])("a rule for %s", (path, expected) => {
    expect(person({ note: "a", guarantor: { note: "b" }, small: 5 }, rules([path]))).toEqual(expected);
  });

  it("rules name elements, entries and bytes", () => {
    const value = { lines: ["a", "b"], tags: { k: "v", l: "w" }, photo: Buffer.from([1, 2]) };
    expect(person(value, rules(["$.lines[1]", "$.tags.k", "$.photo"]))).toEqual({
      lines: ["a", "[FIELD]"],
      tags: { k: "[FIELD]", l: "w" },
      photo: Buffer.from("[FIELD]"),
    });
  });

  it("a value that must not pass stops the call", () => {
    const stop = testPlan(PII_TYPES, { kind: "block" });
    for (const value of [{ note: "123-45-6789" }, { ssn: 123456789 }]) {
      expect(() => person(value, stop)).toThrow(expect.objectContaining({ code: "policy_blocked" }));
    }
  });

  it("pseudonyms and stars", () => {
    expect(person({ note: "123-45-6789" }, testPlan(PII_TYPES, { kind: "mask", keepLast: 4 }))).toEqual({
      note: "***-**-6789",
    });
    const names = person({ lines: ["123-45-6789", "x", "123-45-6789"] }, testPlan(PII_TYPES, { kind: "pseudonym" }));
    const [one, , two] = names.lines as string[];
    expect(one).toMatch(/^\[US_SSN:[0-9a-f]{12}\]$/);
    expect(two).toBe(one);
  });
});

/** A guarantor's guarantor's … */
function nested(depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) bytes = Buffer.concat([Buffer.from([0x32]), encodeVarint(bytes.length), bytes]);
  return bytes;
}

describe("tensors", () => {
  const output = (name: string, datatype: string, contents?: object): object => ({
    name,
    datatype,
    shape: ["2"],
    ...(contents === undefined ? {} : { contents }),
  });
  const numbers = (...values: bigint[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 8);
    values.forEach((value, i) => {
      bytes.writeBigInt64LE(value, i * 8);
    });
    return bytes;
  };

  it("of BYTES are masked element by element, in contents and in raw contents", () => {
    const clean = ["fine", "SSN [US_SSN]", '{"card": "[CREDIT_CARD]"}', ""];
    const dirty = ["fine", "SSN 123-45-6789", '{"card": "4111 1111 1111 1111"}', ""];
    const contents = (texts: string[]): object => ({ bytes_contents: texts.map((text) => Buffer.from(text)) });
    const value = (texts: string[]): object => ({
      model_name: "m",
      id: "7",
      outputs: [output("o", "BYTES", contents(texts))],
    });
    expect(answer(value(dirty))).toEqual(value(clean));
    const raw = (texts: string[]): object => ({
      model_name: "m",
      outputs: [output("scores", "FP32"), output("notes", "BYTES")],
      raw_output_contents: [Buffer.alloc(8, 0x31), rawBytes(...texts)],
    });
    expect(answer(raw(dirty))).toEqual(raw(clean));
  });

  it("of a request are masked, too", () => {
    const value = (text: string): object => ({
      model_name: "m",
      inputs: [{ name: "prompt", datatype: "BYTES", shape: ["1"] }],
      outputs: [{ name: "o" }],
      raw_input_contents: [rawBytes(text)],
    });
    const hidden = value('{"messages":[{"content":"call 123\\u002d45-6789"}]}');
    expect(masked(oip, "inference.ModelInferRequest", hidden)).toEqual(
      value('{"messages":[{"content":"call [US_SSN]"}]}'),
    );
  });

  it("have names that say what is in them", () => {
    const value = (text: string, number: string): object => ({
      outputs: [
        output("first_name", "BYTES", { bytes_contents: [Buffer.from(text)] }),
        output("ssn", "INT64", { int64_contents: [number, "5"] }),
        output("count", "INT64", { int64_contents: ["123456789", "5"] }),
      ],
    });
    expect(answer(value("Ada", "123456789"))).toEqual(value("[PERSON]", "0"));
  });

  it("of numbers are looked at in raw contents", () => {
    const value = (...raw: Buffer[]): object => ({
      outputs: [output("ssn", "INT64"), output("x", "INT64"), output("card", "FP64")],
      raw_output_contents: raw,
    });
    const card = Buffer.alloc(16);
    card.writeDoubleLE(4111111111111111, 8);
    const before = value(numbers(123456789n, -1n), numbers(123456789n, 7n), card);
    expect(answer(before)).toEqual(value(numbers(0n, -1n), numbers(123456789n, 7n), Buffer.alloc(16)));
  });

  it("parameters are called by their keys", () => {
    const value = (text: string, number: string): object => ({
      parameters: { ssn: { int64_param: number }, first_name: { string_param: text } },
    });
    expect(answer(value("Ada", "123456789"))).toEqual(value("[PERSON]", "0"));
  });

  it.each([["$.notes"], ["$..notes"], ["$.notes[*]"], ["$.outputs[0].data"], ["$.outputs[*].data[*]"]])(
    "a rule names them: %s",
    (path) => {
      const value = (text: string, raw?: Buffer): object => ({
        outputs: [output("notes", "BYTES", { bytes_contents: [Buffer.from(text)] }), output("more", "FP32")].slice(
          0,
          raw === undefined ? 1 : 2,
        ),
      });
      expect(answer(value("a"), rules([path]))).toEqual(value("[FIELD]"));
    },
  );

  it("a rule makes numbers 0, and tells elements apart", () => {
    const value = (floats: number[], raw: Buffer): object => ({
      outputs: [output("score", "FP32", { fp32_contents: floats }), output("other", "FP32", { fp32_contents: [1, 2] })],
      parameters: { a: { bool_param: true } },
      ...(raw.length === 0 ? {} : { raw_output_contents: [raw, raw] }),
    });
    const none = Buffer.alloc(0);
    expect(answer(value([1, 2], none), rules(["$.score"]))).toEqual(value([0, 0], none));
    expect(answer(value([1, 2], none), rules(["$.score[1]"]))).toEqual(value([1, 0], none));
    const raw = (first: Buffer): object => ({
      outputs: [output("score", "FP32"), output("other", "FP32")],
      raw_output_contents: [first, Buffer.alloc(8, 1)],
    });
    expect(answer(raw(Buffer.alloc(8, 1)), rules(["$.score"]))).toEqual(raw(Buffer.alloc(8)));
    const second = Buffer.concat([Buffer.alloc(4, 1), Buffer.alloc(4)]);
    expect(answer(raw(Buffer.alloc(8, 1)), rules(["$.score[1]"]))).toEqual(raw(second));
    expect(() => answer(raw(Buffer.alloc(8, 1)), rules(["$.score"], { kind: "block" }))).toThrow(
      expect.objectContaining({ code: "policy_blocked" }),
    );
  });

  const shared = { ...output("o", "BYTES"), parameters: { shared_memory_region: { string_param: "r" } } };
  const twice = Buffer.concat([
    oip.encode("inference.ModelInferResponse.InferOutputTensor", output("o", "FP32")),
    Buffer.from([0x12, 5]),
    Buffer.from("BYTES"),
  ]);
  const encode = (value: object): Buffer => oip.encode("inference.ModelInferResponse", value);
  it.each([
    [
      "lengths do not fit",
      encode({ outputs: [output("o", "BYTES")], raw_output_contents: [Buffer.from("123-45-6789")] }),
    ],
    [
      "an element is not UTF-8",
      encode({ outputs: [output("o", "BYTES")], raw_output_contents: [rawBytes(Buffer.from([0xff]))] }),
    ],
    [
      "datatype is not known",
      encode({ outputs: [output("o", "TEXT")], raw_output_contents: [Buffer.from("123-45-6789")] }),
    ],
    ["datatype is said twice", Buffer.concat([Buffer.from([0x2a, twice.length]), twice])],
    ["value is cut", encode({ outputs: [output("o", "INT64")], raw_output_contents: [Buffer.alloc(9)] })],
    ["raw contents are one too many", encode({ outputs: [], raw_output_contents: [rawBytes("123-45-6789")] })],
    ["shape ends in the middle of a number", Buffer.from([0x2a, 3, 0x1a, 1, 0x80])],
    ["list of floats ends in the middle of one", Buffer.from([0x2a, 5, 0x2a, 3, 0x32, 1, 0])],
    ["data lies in shared memory", encode({ outputs: [shared] })],
  ])("cannot be looked into when its %s", (_, bytes) => {
    expect(() => maskMessage(ANSWER, bytes, plan, new Tally(plan))).toThrow(refused);
    let heard = 0;
    const out = maskMessage(ANSWER, bytes, plan, new Tally(plan), { unseen: () => heard++ });
    expect(out.equals(bytes)).toBe(true);
    expect(heard).toBeGreaterThan(0);
  });

  it("of an embedding is passed over", () => {
    const raw = Buffer.from(Float32Array.from({ length: 1_536 }, (_, i) => Math.sin(i)).buffer);
    const bytes = encode({ outputs: [output("embedding", "FP32")], raw_output_contents: [raw] });
    const work = (): void => {
      for (let i = 0; i < 2_000; i++) maskMessage(ANSWER, bytes, plan, new Tally(plan));
    };
    work();
    const start = performance.now();
    work();
    // Some microseconds each: far from looking at 1,536 numbers.
    expect((performance.now() - start) / 2_000).toBeLessThan(0.1);
    expect(maskMessage(ANSWER, bytes, plan, new Tally(plan))).toBe(bytes);
  });
});

describe("any bytes", () => {
  it("are masked, or cannot be looked into: no other error, and no value of theirs comes out", () => {
    const value = "SSN 123-45-6789 .";
    const valid = oip.encode("inference.ModelInferResponse", {
      model_name: "m",
      outputs: [
        { name: "o", datatype: "BYTES", shape: ["1"], parameters: { k: { string_param: value } } },
        { name: "p", datatype: "INT64", shape: ["1"], contents: { int64_contents: ["5"] } },
      ],
      raw_output_contents: [rawBytes(value), Buffer.alloc(8)],
    });
    const places = [valid.indexOf(value), valid.lastIndexOf(value)];
    // Another character in the text may make another value of it: what is changed is what stands around it.
    const around = [...valid.keys()].filter((at) => !places.some((start) => at >= start && at < start + value.length));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...around), fc.nat(255), (noise, at, byte) => {
        const flipped = Buffer.from(valid);
        flipped[at] = byte;
        for (const bytes of [Buffer.from(noise), flipped, valid.subarray(0, at)]) {
          let out: Buffer;
          try {
            out = maskMessage(ANSWER, bytes, plan, new Tally(plan));
          } catch (error) {
            expect(error).toEqual(refused);
            continue;
          }
          // Of its values, as a client reads them: a list of small numbers may spell anything.
          const read = JSON.stringify(oip.decode("inference.ModelInferResponse", out), (_, part: unknown) =>
            (part as { type?: unknown } | null)?.type === "Buffer"
              ? Buffer.from((part as { data: number[] }).data).toString("latin1")
              : part,
          );
          expect(read).not.toContain("123-45-6789");
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a stream of messages", () => {
  const message = (note: string): Buffer => bank.encode("bank.v1.Person", { note });
  const notes = (bytes: Buffer): unknown[] =>
    new GrpcFrameReader({ maxMessageBytes: 1_000_000 })
      .push(bytes)
      .map((frame) => bank.decode("bank.v1.Person", frame.bytes).note);
  const options = { maxMessageBytes: 1_000_000 };

  it("is masked the same however it was cut", () => {
    const stream = Buffer.concat(["a", "SSN 123-45-6789", "b"].map((note) => encodeFrame(message(note))));
    for (let size = 1; size <= stream.length; size++) {
      const mask = new GrpcMask(plan, PERSON, options);
      const out: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) out.push(mask.push(stream.subarray(at, at + size)));
      out.push(mask.end());
      expect(notes(Buffer.concat(out))).toEqual(["a", "SSN [US_SSN]", "b"]);
      expect(mask.tally.masked()).toEqual({ US_SSN: 1 });
    }
  });

  it("of ten thousand messages is given out as it came", () => {
    const stream = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => encodeFrame(message(`m${i}`))));
    expect(new GrpcMask(plan, PERSON, options).push(stream)).toBe(stream);
  });

  it("that is compressed is unpacked, and stays so", () => {
    const mask = new GrpcMask(plan, PERSON, { ...options, encoding: "gzip" });
    const out = mask.push(
      Buffer.concat([
        encodeFrame(gzipSync(message("123-45-6789")), true),
        encodeFrame(message("plain")),
        encodeFrame(gzipSync(message("clean")), true),
      ]),
    );
    const [first, second, third] = new GrpcFrameReader(options).push(out);
    expect(first).toMatchObject({ compressed: false });
    expect(bank.decode("bank.v1.Person", first?.bytes ?? Buffer.alloc(0)).note).toBe("[US_SSN]");
    expect(second?.bytes).toEqual(message("plain"));
    // What nothing was found in may go on as it came.
    expect(third?.compressed ? gunzipSync(third.bytes) : third?.bytes).toEqual(message("clean"));
  });

  it.each([
    ["breaks off", encodeFrame(message("a")).subarray(0, 6), undefined],
    ["is not framed", Buffer.from("HTTP/1.1 200 OK"), undefined],
    ["has a message that is too long", encodeFrame(Buffer.alloc(1_000_001)), undefined],
    ["is compressed in an unknown way", encodeFrame(Buffer.from("x"), true), "snappy"],
    ["is compressed and does not say how", encodeFrame(Buffer.from("x"), true), undefined],
    ["is a bomb", encodeFrame(gzipSync(Buffer.alloc(2_000_000)), true), "gzip"],
  ])("that %s cannot be looked into", (_, bytes, encoding) => {
    const mask = new GrpcMask(plan, PERSON, { ...options, ...(encoding === undefined ? {} : { encoding }) });
    expect(() => {
      mask.push(bytes);
      mask.end();
    }).toThrow(refused);
  });

  it("is shown to an analyzer first, where a plan has one", async () => {
    const asked: string[] = [];
    const analyze = (text: string) => {
      asked.push(text);
      const start = text.indexOf("Grace Hopper");
      return Promise.resolve(start < 0 ? [] : [{ type: "PERSON", start, end: start + 12, score: 1 }]);
    };
    const analyzed = buildPlan([], undefined, testMac, analyze, new Map([["PERSON", { kind: "redact" }]]));
    const mask = createGrpcMasker(analyzed, PERSON, options);
    const out = await mask.push(encodeFrame(message("we met Grace Hopper")));
    await mask.end();
    expect(notes(out)).toEqual(["we met [PERSON]"]);
    expect(asked).toEqual(["we met Grace Hopper"]);
    expect(() => new GrpcMask(analyzed, PERSON, options)).toThrow(refused);
  });
});

describe("grpc-message", () => {
  const trailer = (text: string, by: MaskPlan = plan): string => maskTrailerMessage(text, by, new Tally(by));

  it.each([
    ["a plain one", "row 7 is bad", "row 7 is bad"],
    ["a value", "no loan for SSN 123-45-6789", "no loan for SSN [US_SSN]"],
    ["a value that is encoded", "SSN 123%2D45%2d6789", "SSN [US_SSN]"],
    ["what is not ASCII", "caf%C3%A9 123-45-6789", "caf%C3%A9 [US_SSN]"],
    ["a percent sign that begins nothing", "100% of 123-45-6789", "100%25 of [US_SSN]"],
    ["what is not UTF-8", "%ff 123-45-6789", "%C3%BF [US_SSN]"],
    ["an untouched encoding", "caf%c3%a9 100%", "caf%c3%a9 100%"],
    ["nothing", "", ""],
  ])("%s", (_, text, expected) => {
    expect(trailer(text)).toBe(expected);
  });
});

describe("findings", () => {
  it("are counted by type", () => {
    const bytes = bank.encode("bank.v1.Person", {
      note: "123-45-6789",
      lines: ["4111111111111111", "4111111111111111"],
    });
    expect([...countGrpcFindings(PERSON, bytes)].sort()).toEqual([
      ["CREDIT_CARD", 2],
      ["US_SSN", 1],
    ]);
    expect(() => countGrpcFindings(PERSON, Buffer.from([0x0b]))).toThrow(refused);
  });
});

describe("reflection", () => {
  it("passes: a description of services is no data", () => {
    const type = typeOf("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "response");
    // FileDescriptorResponse with the descriptors of two real files.
    const files = [oip, bank].map((of) => of.descriptorSet());
    const inner = Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a]), encodeVarint(file.length), file]));
    const bytes = Buffer.concat([Buffer.from([0x22]), encodeVarint(inner.length), inner]);
    expect(maskMessage(type, bytes, plan, new Tally(plan))).toBe(bytes);
    const hidden = Buffer.concat([Buffer.from([0x22, 14, 0x0a, 12]), Buffer.from("\n123-45-6789")]);
    expect(() => maskMessage(type, hidden, plan, new Tally(plan))).toThrow(refused);
  });
});
