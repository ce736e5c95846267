import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GrpcSchema } from "../protobuf/schema.ts";
import { bank, oip, rawBytes } from "../protobuf/testing/messages.ts";
import { describeGrpc } from "./grpc.ts";
import type { Operation } from "./operation.ts";

const schema = GrpcSchema.builtin().with([bank.descriptorSet()]);
const OIP = "/inference.GRPCInferenceService/";
const asked = (method: string, ...messages: Buffer[]): Operation =>
  describeGrpc(schema, { path: OIP + method, messages });
const request = (value: object): Buffer =>
  oip.encode("inference.ModelInferRequest", { model_name: "credit", ...value });
const infer = (value: object): Operation => asked("ModelInfer", request(value));
const floats = (count: number): object => ({ fp32_contents: Array(count).fill(0.5) });
const input = (datatype: string, shape: readonly (number | string)[], contents?: object): object => ({
  name: "x",
  datatype,
  shape,
  ...(contents === undefined ? {} : { contents }),
});
const one = (datatype: string, shape: readonly number[], contents?: object): Operation =>
  infer({ inputs: [input(datatype, shape, contents)] });

describe("ModelInfer", () => {
  it.each([
    ["the first dimension", [5, 2], 10, 5],
    ["a batch of one that is none", [1, 5, 2], 10, 5],
    ["one row of features", [1, 8], 8, 1],
    ["no rows", [0, 8], 0, 0],
  ])("counts rows: %s", (_, shape, values, rows) => {
    expect(one("FP32", shape, floats(values))).toEqual({ kind: "infer", model: "credit", rows });
  });

  it("counts the largest of its inputs", () => {
    const inputs = [
      input("FP32", [2, 1], floats(2)),
      input("INT64", [7, 1], { int64_contents: [1, 2, 3, 4, 5, 6, 7] }),
    ];
    expect(infer({ inputs })).toEqual({ kind: "infer", model: "credit", rows: 7 });
  });

  it.each([
    ["BOOL", { bool_contents: [true, false] }],
    ["INT8", { int_contents: [-1, 2] }],
    ["INT32", { int_contents: [-1, 200_000] }],
    ["INT64", { int64_contents: [-1, 2] }],
    ["UINT16", { uint_contents: [1, 2] }],
    ["UINT64", { uint64_contents: [1, 2] }],
    ["FP32", { fp32_contents: [1, 2] }],
    ["FP64", { fp64_contents: [1, 2] }],
  ])("reads contents of %s", (datatype, contents) => {
    expect(one(datatype, [2], contents)).toEqual({ kind: "infer", model: "credit", rows: 2 });
  });

  it("reads lists that are not packed", () => {
    const values = Buffer.from([0x18, 1, 0x18, 2]);
    const contents = Buffer.from([0x2a, values.length, ...values]);
    const tensor = Buffer.concat([
      oip.encode("inference.ModelInferRequest.InferInputTensor", input("INT64", [2])),
      contents,
    ]);
    const bytes = Buffer.concat([request({}), Buffer.from([0x2a, tensor.length]), tensor]);
    expect(asked("ModelInfer", bytes)).toEqual({ kind: "infer", model: "credit", rows: 2 });
  });

  it("gives the texts of its BYTES", () => {
    const contents = { bytes_contents: [Buffer.from("Dear é"), Buffer.from("two")] };
    expect(one("BYTES", [2], contents)).toMatchObject({ rows: 2, texts: ["Dear é", "two"] });
    const raw = { inputs: [input("BYTES", [2])], raw_input_contents: [rawBytes("Dear é", "two")] };
    expect(infer(raw)).toEqual({ kind: "infer", model: "credit", rows: 2, texts: ["Dear é", "two"] });
  });

  it("reads raw contents, each input its own", () => {
    const inputs = [input("FP32", [3, 2]), input("FP16", [4])];
    expect(infer({ inputs, raw_input_contents: [Buffer.alloc(24), Buffer.alloc(8)] })).toEqual({
      kind: "infer",
      model: "credit",
      rows: 4,
    });
  });

  it("counts what the data shows to be more", () => {
    expect(one("FP32", [1, 6], floats(60))).toMatchObject({ rows: 10, unclear: expect.stringMatching(/disagree/) });
    const raw = { inputs: [input("BYTES", [1])], raw_input_contents: [rawBytes("a", "b", "c")] };
    expect(infer(raw)).toMatchObject({ rows: 3, unclear: expect.stringMatching(/disagree/) });
  });

  const two = [input("FP32", [1]), input("FP32", [1])];
  const shared = (key: string) => ({ ...input("FP32", [1]), parameters: { [key]: { string_param: "region" } } });
  it.each([
    ["less data than its shape", { inputs: [input("FP32", [2, 2], floats(3))] }, /disagree/],
    ["no shape", { inputs: [input("FP32", [], floats(1))] }, /no shape/],
    ["no data", { inputs: [input("FP32", [1])] }, /no data/],
    ["no inputs", {}, /how many rows/],
    ["no model", { model_name: "", inputs: [input("FP32", [1], floats(1))] }, /no model/],
    ["a dimension below zero", { inputs: [input("FP32", [-1, 2], floats(2))] }, /below zero/],
    ["the lowest dimension", { inputs: [input("FP32", ["-9223372036854775808"], floats(2))] }, /below zero|too large/],
    ["a product that overflows", { inputs: [input("FP32", [2 ** 32, 2 ** 32], floats(1))] }, /too large/],
    [
      "a product that overflows to 0",
      { inputs: [input("FP32", [2 ** 32, 2 ** 32, 0], floats(1))] },
      /disagree|too large/,
    ],
    ["fewer raw contents than inputs", { inputs: two, raw_input_contents: [Buffer.alloc(4)] }, /one number/],
    [
      "more raw contents than inputs",
      { inputs: two, raw_input_contents: Array(3).fill(Buffer.alloc(4)) },
      /one number/,
    ],
    ["data twice", { inputs: [input("FP32", [1], floats(1))], raw_input_contents: [Buffer.alloc(4)] }, /twice/],
    [
      "values of another datatype",
      { inputs: [input("FP32", [1], { bytes_contents: [Buffer.from("a")] })] },
      /datatype/,
    ],
    ["an unknown datatype", { inputs: [input("JSON", [1])], raw_input_contents: [Buffer.from("{}")] }, /encoded/],
    ["half a value", { inputs: [input("FP32", [1])], raw_input_contents: [Buffer.alloc(5)] }, /middle/],
    [
      "lengths that do not fill the buffer",
      { inputs: [input("BYTES", [1])], raw_input_contents: [Buffer.concat([rawBytes("a"), Buffer.from("x")])] },
      /do not fit/,
    ],
    [
      "a length beyond the buffer",
      { inputs: [input("BYTES", [1])], raw_input_contents: [Buffer.from([255, 255, 255, 255, 65])] },
      /do not fit/,
    ],
    [
      "a large element",
      { inputs: [input("BYTES", [1])], raw_input_contents: [rawBytes("x".repeat(70_000))] },
      /large encoded/,
    ],
    ["shared memory", { inputs: [shared("shared_memory_region")] }, /shared memory/],
    ["a part of shared memory", { inputs: [shared("shared_memory_offset")] }, /shared memory/],
    [
      "an answer into shared memory",
      { inputs: [input("FP32", [1], floats(1))], outputs: [shared("shared_memory_region")] },
      /shared memory/,
    ],
  ])("is unclear: %s", (_, value, why) => {
    expect(infer(value)).toMatchObject({ kind: "infer", unclear: expect.stringMatching(why) });
  });

  const good = { inputs: [input("FP32", [1], floats(1))] };
  it.each([
    ["a second model", Buffer.concat([request(good), Buffer.from([0x0a, 1, 65])]), /twice/],
    ["a field of its own", Buffer.concat([request(good), Buffer.from([0x42, 1, 65])]), /does not have/],
    ["a field of another kind", Buffer.concat([request(good), Buffer.from([0x08, 1])]), /does not have/],
    ["a model that is not UTF-8", Buffer.from([0x0a, 1, 0xff]), /cannot be read/],
    ["a group", Buffer.from([0x0b, 0x0c]), /cannot be read/],
    ["bytes that break off", request(good).subarray(0, 12), /cannot be read/],
    ["JSON", Buffer.from('{"model_name":"credit"}'), /cannot be read/],
  ])("is unclear: %s", (_, bytes, why) => {
    expect(asked("ModelInfer", bytes)).toMatchObject({ kind: "infer", unclear: expect.stringMatching(why) });
  });

  it("of any bytes is said in words, never an error", () => {
    const valid = request({ inputs: [input("BYTES", [2])], raw_input_contents: [rawBytes("a", "bc")] });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(valid.length - 1), fc.nat(255), (noise, at, byte) => {
        const flipped = Buffer.from(valid);
        flipped[at] = byte;
        for (const bytes of [Buffer.from(noise), flipped]) {
          const { kind, rows, unclear } = asked("ModelInfer", bytes);
          expect(kind).toBe("infer");
          expect(rows !== undefined || unclear !== undefined).toBe(true);
        }
      }),
    );
  });

  it("of a million values is counted at once", () => {
    const bytes = request({ inputs: [input("INT64", [1_000_000], { int64_contents: Array(1_000_000).fill(1) })] });
    const start = performance.now();
    expect(asked("ModelInfer", bytes)).toMatchObject({ rows: 1_000_000 });
    expect(performance.now() - start).toBeLessThan(1_000);
  });
});

describe("other methods", () => {
  const text = (...bytes: number[]): Buffer => Buffer.from(bytes);
  it.each([
    [
      "ModelStreamInfer",
      request({ inputs: [input("FP32", [3], floats(3))] }),
      { kind: "infer", model: "credit", rows: 3, stream: true },
    ],
    ["RepositoryModelLoad", text(0x12, 1, 65), { kind: "admin", model: "A" }],
    ["RepositoryModelUnload", text(0x12, 1, 65), { kind: "admin", model: "A" }],
    ["RepositoryIndex", text(), { kind: "metadata" }],
    ["SystemSharedMemoryRegister", text(0x0a, 1, 65), { kind: "admin" }],
    ["SystemSharedMemoryStatus", text(), { kind: "metadata" }],
    ["CudaSharedMemoryUnregister", text(), { kind: "admin" }],
    ["TraceSetting", text(), { kind: "admin" }],
    ["LogSettings", text(), { kind: "admin" }],
    ["ServerLive", text(), { kind: "health" }],
    ["ModelReady", text(0x0a, 1, 65), { kind: "health", model: "A" }],
    ["ModelMetadata", text(0x0a, 1, 65), { kind: "metadata", model: "A" }],
    ["ModelConfig", text(0x0a, 1, 65), { kind: "metadata", model: "A" }],
  ])("%s", (method, message, expected) => {
    expect(asked(method, message)).toEqual(expected);
  });

  it.each([
    ["/grpc.health.v1.Health/Check", { kind: "health" }],
    ["/grpc.health.v1.Health/Watch", { kind: "health", stream: true }],
    ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", { kind: "metadata", stream: true }],
  ])("%s", (path, expected) => {
    expect(describeGrpc(schema, { path, messages: [Buffer.alloc(0)] })).toEqual(expected);
  });

  it("of a descriptor set are other, with their texts", () => {
    const message = bank.encode("bank.v1.Person", { first_name: "Ada", guarantor: { note: "Bob" }, tags: { k: "v" } });
    expect(describeGrpc(schema, { path: "/bank.v1.Desk/Score", messages: [message] })).toEqual({
      kind: "other",
      texts: expect.arrayContaining(["Ada", "Bob", "k", "v"]),
    });
  });

  it.each([
    ["an unknown method", "/inference.GRPCInferenceService/ModelInferAsync"],
    ["another spelling", "/inference.GRPCInferenceService/modelInfer"],
    ["a slash more", "/inference.GRPCInferenceService/ModelInfer/"],
    ["an unknown service", "/bank.v2.Desk/Score"],
  ])("%s is other, and unclear", (_, path) => {
    expect(describeGrpc(schema, { path, messages: [] })).toEqual({
      kind: "other",
      unclear: "nothing is known of its method",
    });
  });

  it.each([
    ["no message", [], /no message/],
    ["a field that is not known", [text(0x7a, 1, 65)], /does not have/],
    ["a field twice", [text(0x0a, 1, 65, 0x0a, 1, 66)], /twice/],
    ["a group", [text(0x0b, 0x0c)], /cannot be read/],
  ])("are unclear: %s", (_, messages, why) => {
    expect(asked("ModelReady", ...messages)).toMatchObject({ kind: "health", unclear: expect.stringMatching(why) });
  });

  it("are unclear when a list ends in the middle of a number", () => {
    const asked = describeGrpc(schema, { path: "/bank.v1.Desk/Score", messages: [text(0x22, 1, 0x80)] });
    expect(asked.unclear).toMatch(/cannot be read/);
  });

  it("are unclear when their messages did not come as they should", () => {
    const of = { path: `${OIP}ServerLive`, messages: [], problem: "it has two messages" };
    expect(describeGrpc(schema, of)).toEqual({ kind: "health", unclear: "it has two messages" });
  });
});
