import { expect, it, describe as suite } from "vitest";
import { describe, isInference } from "./describe.ts";

const POST = (path: string, json: unknown = undefined) => ({ method: "POST", path, json });
const GET = (path: string) => ({ method: "GET", path, json: undefined });

suite("openai", () => {
  it.each([
    [POST("/v1/chat/completions", { model: "m", stream: true }), { kind: "chat", model: "m", stream: true }],
    [POST("/v1/responses", { model: "m" }), { kind: "chat", model: "m" }],
    [POST("/v1/completions", { model: "m" }), { kind: "complete", model: "m" }],
    [POST("/v1/embeddings", { model: "e", input: ["a", "b", "c"] }), { kind: "embed", model: "e", rows: 3 }],
    [POST("/v1/embeddings", { model: "e", input: "a" }), { kind: "embed", model: "e", rows: 1 }],
    [POST("/v1/embeddings", { model: "e", input: [1, 2, 3] }), { kind: "embed", model: "e", rows: 1 }],
    [POST("/v1/embeddings", { model: "e", input: [[1], [2]] }), { kind: "embed", model: "e", rows: 2 }],
    [GET("/v1/models"), { kind: "metadata" }],
    [{ method: "DELETE", path: "/v1/models/m", json: undefined }, { kind: "admin" }],
    [POST("/v1/batches", {}), { kind: "files" }],
    [POST("/v1/fine_tuning/jobs", {}), { kind: "admin" }],
    [GET("/v1/chat/completions"), { kind: "other" }],
    [POST("/v1/unknown", { model: "m" }), { kind: "other" }],
    [POST("/V1/chat/completions", { model: "m" }), { kind: "other" }],
  ])("%j", (request, expected) => {
    expect(describe("openai", request)).toEqual(expected);
  });

  it("takes nothing from a body of the wrong shape", () => {
    for (const json of [
      undefined,
      null,
      7,
      "text",
      [],
      { model: 7 },
      { model: "" },
      Object.create({ model: "inherited" }),
    ]) {
      expect(describe("openai", POST("/v1/chat/completions", json))).toEqual({ kind: "chat" });
    }
  });

  it("cuts a model's name to what a record may hold", () => {
    const { model } = describe("openai", POST("/v1/chat/completions", { model: `${"x".repeat(300)}` }));
    expect(model).toHaveLength(256);
    expect(describe("openai", POST("/v1/chat/completions", { model: "a\ud800b" })).model?.isWellFormed()).toBe(true);
  });
});

suite("oip", () => {
  const inputs = (...shapes: unknown[]) => ({
    inputs: shapes.map((shape) => ({ name: "x", shape, datatype: "FP64", data: [] })),
  });
  it.each([
    [POST("/v2/models/credit/infer", inputs([500, 6])), { kind: "infer", model: "credit", rows: 500 }],
    [POST("/v2/models/credit/versions/1/infer", inputs([2])), { kind: "infer", model: "credit", rows: 2 }],
    [POST("/v2/models/credit/infer", inputs([1, 6], [9000, 6])), { kind: "infer", model: "credit", rows: 9000 }],
    [POST("/v2/models/credit/infer", inputs("no")), { kind: "infer", model: "credit" }],
    [POST("/v2/models/credit/infer", { inputs: [] }), { kind: "infer", model: "credit" }],
    [POST("/v2/models/my%20model/infer"), { kind: "infer", model: "my model" }],
    [POST("/v2/models/%zz/infer"), { kind: "infer", model: "%zz" }],
    [GET("/v2/models/credit"), { kind: "metadata", model: "credit" }],
    [GET("/v2/models/credit/ready"), { kind: "health", model: "credit" }],
    [GET("/v2/health/live"), { kind: "health" }],
    [POST("/v2/repository/models/credit/load"), { kind: "admin" }],
    [POST("/v2/repository/index"), { kind: "admin" }],
    [GET("/v2/models/credit/infer"), { kind: "other", model: "credit" }],
    [POST("/v2/models/credit/infer/"), { kind: "other" }],
    [POST("/v2//models/credit/infer"), { kind: "other" }],
  ])("%j", (request, expected) => {
    expect(describe("oip", request)).toEqual(expected);
  });
});

suite("what may overlap with its record", () => {
  it("is inference and reading, never administration, files or what is not known", () => {
    for (const kind of ["infer", "chat", "complete", "embed", "metadata", "health"] as const)
      expect(isInference({ kind })).toBe(true);
    for (const kind of ["admin", "files", "other"] as const) expect(isInference({ kind })).toBe(false);
  });
});
