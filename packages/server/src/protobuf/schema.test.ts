import { describe, expect, it } from "vitest";
import { GrpcSchema } from "./schema.ts";
import { bank, Messages, oip } from "./testing/messages.ts";

const builtin = GrpcSchema.builtin();

describe("a schema", () => {
  it.each([
    ["/inference.GRPCInferenceService/ModelInfer", "inference.ModelInferRequest", "inference.ModelInferResponse"],
    ["/grpc.health.v1.Health/Check", "grpc.health.v1.HealthCheckRequest", "grpc.health.v1.HealthCheckResponse"],
    [
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "grpc.reflection.v1.ServerReflectionRequest",
      "grpc.reflection.v1.ServerReflectionResponse",
    ],
  ])("knows %s", (path, request, response) => {
    expect(builtin.method(path)).toMatchObject({ request: { name: request }, response: { name: response } });
  });

  it("knows which methods stream", () => {
    expect(builtin.method("/inference.GRPCInferenceService/ModelStreamInfer")).toMatchObject({
      clientStreaming: true,
      serverStreaming: true,
    });
    expect(builtin.method("/grpc.health.v1.Health/Watch")).toMatchObject({
      clientStreaming: false,
      serverStreaming: true,
    });
  });

  it.each([
    "inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/modelinfer",
    "/inference.GRPCInferenceService/ModelInfer/",
    "/inference.GRPCInferenceService//ModelInfer",
    "/inference.GRPCInferenceService/Model%49nfer",
    "/inference.GRPCInferenceService/ModelInfer?x",
    "//inference.GRPCInferenceService/ModelInfer",
    "/",
    "",
  ])("knows a method by one path: not by %j", (path) => {
    expect(builtin.method(path)).toBeUndefined();
  });

  it("has the fields of the Open Inference Protocol as its proto file has them", () => {
    const types = (set: GrpcSchema) => {
      const { request, response } = set.method("/inference.GRPCInferenceService/ModelInfer") ?? {};
      return JSON.stringify([request, response], (_, value: unknown) =>
        value instanceof Map ? [...value].sort(([one], [two]) => one - two) : value,
      );
    };
    // The set's own description has to agree with ours in each field, or this throws.
    expect(types(builtin.with([oip.descriptorSet()]))).toBe(types(builtin));
  });

  it("takes services of a descriptor set, types that hold themselves too", () => {
    const method = builtin.with([bank.descriptorSet()]).method("/bank.v1.Desk/Watch");
    expect(method).toMatchObject({ service: "bank.v1.Desk", method: "Watch", clientStreaming: true });
    const fields = method?.request.fields;
    expect(fields?.get(6)?.message).toBe(method?.request);
    expect(fields?.get(7)).toMatchObject({ name: "tags", kind: "map", repeated: true });
    expect(fields?.get(10)?.names).toEqual(
      new Map([
        [0, "NEW"],
        [3, "CLOSED"],
      ]),
    );
    expect(builtin.method("/bank.v1.Desk/Watch")).toBeUndefined();
  });

  it("takes a newer version of what is built in", () => {
    const newer = new Messages(
      'syntax = "proto3"; package inference; message ModelReadyRequest { string name = 1; string version = 2; string tenant = 9; }',
    );
    const method = builtin.with([newer.descriptorSet()]).method("/inference.GRPCInferenceService/ModelReady");
    expect(method?.request.fields.get(9)?.name).toBe("tenant");
  });

  it.each([
    ["another kind", "message Person { int64 first_name = 1; }", /bank\.v1\.Person .*field 1/],
    ["another name", "message Person { string last_name = 1; }", /bank\.v1\.Person .*field 1/],
    ["another message", "message Other {} message Person { Other guarantor = 6; }", /bank\.v1\.Person .*field 6/],
    [
      "another method",
      "message Person {} service Desk { rpc Score (stream Person) returns (Person); }",
      /bank\.v1\.Desk .*Score/,
    ],
  ])("refuses sets that contradict each other: %s", (_, body, why) => {
    const other = new Messages(`syntax = "proto3"; package bank.v1; ${body}`);
    expect(() => builtin.with([bank.descriptorSet(), other.descriptorSet()])).toThrow(why);
  });

  it("refuses what is no set", () => {
    expect(() => builtin.with([Buffer.from("syntax = proto3")])).toThrow();
    expect(() => builtin.with([Buffer.alloc(0)])).toThrow(/FileDescriptorSet/);
  });
});
