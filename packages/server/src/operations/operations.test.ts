import fc from "fast-check";
import { expect, it, describe as suite } from "vitest";
import { describe as describeOperation, isInference } from "./describe.ts";
import type { Operation, OperationRequest } from "./operation.ts";
import { pathProblem } from "./path.ts";
import { readBody } from "./read-body.ts";

type Api = Parameters<typeof describeOperation>[0];
interface Asked {
  readonly method: string;
  readonly path: string;
  readonly json: unknown;
  readonly headers?: readonly string[];
  readonly bytes?: Buffer;
}
const request = ({ method, path, json, headers = [], bytes }: Asked): OperationRequest => {
  const body = bytes ?? (json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(json)));
  const shared = { contentType: undefined, contentEncoding: undefined, query: "" };
  return { method, path, headers, bytes: body, body: readBody(body, true), ...shared };
};
/** Without what only detection looks at. */
const describe = (api: Api, asked: Asked): Operation => {
  const { texts: _, ...operation } = describeOperation(api, request(asked));
  return operation;
};
/** Without the doubt, where a case is about something else. */
const meaning = (api: Api, asked: Asked): Operation => {
  const { unclear: _, ...operation } = describe(api, asked);
  return operation;
};

const POST = (path: string, json: unknown = undefined, headers: readonly string[] = []): Asked => ({
  method: "POST",
  path,
  json,
  headers,
});
const GET = (path: string): Asked => ({ method: "GET", path, json: undefined });

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
    [POST("/V1/chat/completions", { model: "m" }), { kind: "chat", model: "m" }],
  ])("%j", (request, expected) => {
    expect(meaning("openai", request)).toEqual(expected);
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
      expect(meaning("openai", POST("/v1/chat/completions", json))).toEqual({ kind: "chat" });
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
    [POST("/v2/models/credit/infer/"), { kind: "infer", model: "credit" }],
    [POST("/v2//models/credit/infer"), { kind: "other" }],
  ])("%j", (request, expected) => {
    expect(meaning("oip", request)).toEqual(expected);
  });
});

suite("what may overlap with its record", () => {
  it("is inference and reading, never administration, files or what is not known", () => {
    for (const kind of ["infer", "chat", "complete", "embed", "metadata", "health"] as const)
      expect(isInference({ kind })).toBe(true);
    for (const kind of ["admin", "files", "other"] as const) expect(isInference({ kind })).toBe(false);
  });
});

suite("what hides rows", () => {
  const infer = (...inputs: unknown[]) => describe("oip", POST("/v2/models/credit/infer", { inputs }));
  const tensor = (shape: number[], data: unknown, more: object = {}) => ({
    name: "x",
    datatype: "FP64",
    shape,
    data,
    ...more,
  });
  const zeros = (count: number) => new Array<number>(count).fill(0);
  it("counts the data where the shape says less, and is not sure", () => {
    expect(infer(tensor([1, 6], zeros(30_000)))).toMatchObject({ rows: 5_000, unclear: expect.any(String) });
    expect(infer(tensor([1], [zeros(6), zeros(6), zeros(6)]))).toMatchObject({ rows: 3, unclear: expect.any(String) });
  });
  it("counts a batch that is hidden one dimension down", () => {
    expect(infer(tensor([1, 5_000, 6], zeros(30_000)))).toEqual({ kind: "infer", model: "credit", rows: 5_000 });
    expect(infer(tensor([1, 6], zeros(6)))).toEqual({ kind: "infer", model: "credit", rows: 1 });
  });
  it.each([
    ["no shape", [{ name: "x", datatype: "FP64", data: [1] }]],
    [
      "shared memory",
      [tensor([1], undefined, { parameters: { shared_memory_region: "r", shared_memory_byte_size: 9 } })],
    ],
    ["one large value", [{ name: "x", datatype: "BYTES", shape: [1], data: ["A".repeat(70_000)] }]],
    ["no inputs", []],
  ])("is not sure: %s", (_, inputs) => {
    expect(infer(...inputs)).toMatchObject({ kind: "infer", unclear: expect.any(String) });
  });
  it("reads the JSON before Triton's binary tensors, and holds it against their size", () => {
    const json = Buffer.from(
      JSON.stringify({
        inputs: [{ name: "x", datatype: "FP32", shape: [5_000, 6], parameters: { binary_data_size: 120_000 } }],
      }),
    );
    const bytes = Buffer.concat([json, Buffer.alloc(120_000)]);
    const asked = { method: "POST", path: "/v2/models/m/infer", json: undefined, bytes };
    const length = ["inference-header-content-length", String(json.length)];
    expect(describe("triton", { ...asked, headers: length })).toEqual({ kind: "infer", model: "m", rows: 5_000 });
    expect(
      describe("triton", { ...asked, headers: ["inference-header-content-length", "99999999"] }).unclear,
    ).toBeDefined();
    expect(describe("triton", { ...asked, headers: [...length, ...length] }).unclear).toBeDefined();
    expect(describe("triton", asked).unclear).toBeDefined();
  });
  it.each<[Api, Asked, number]>([
    ["tfserving", POST("/v1/models/m:predict", { instances: zeros(500) }), 500],
    ["tfserving", POST("/v1/models/m/versions/3:predict", { inputs: { a: zeros(7), b: zeros(900) } }), 900],
    ["mlflow", POST("/invocations", { dataframe_split: { columns: ["a"], data: zeros(40) } }), 40],
    ["mlflow", POST("/invocations", { dataframe_records: zeros(41) }), 41],
    ["mlflow", POST("/invocations", { inputs: { a: zeros(42) } }), 42],
    ["ollama", POST("/api/embed", { model: "m", input: ["a", "b"] }), 2],
    ["openai", POST("/v1/completions", { model: "m", prompt: ["a", "b", "c"] }), 3],
    ["openai", POST("/v1/embeddings", { model: "m", input: [1, "two"] }), 2],
    ["generic", POST("/score", { payload: { rows: zeros(77) } }), 77],
  ])("%s %j", (api, asked, rows) => {
    expect(describe(api, asked)).toMatchObject({ rows });
  });
  it("counts the lines of CSV", () => {
    const bytes = Buffer.from("a,b\n1,2\n3,4\n5,6\n");
    const read = {
      ...request({ method: "POST", path: "/invocations", json: undefined, bytes }),
      contentType: "text/csv",
    };
    expect(describeOperation("mlflow", read)).toMatchObject({ kind: "infer", rows: 3 });
  });
  it("multiplies the tokens by the choices and the prompts", () => {
    const asked = { model: "m", max_tokens: 100, n: 5, prompt: ["a", "b"] };
    expect(describe("openai", POST("/v1/completions", asked)).tokensRequested).toBe(1_000);
  });
});

suite("administration by another name", () => {
  it.each<[Api, Asked]>([
    ["oip", POST("/V2/Repository/models/x/load")],
    ["oip", POST("/v2/repository/index/")],
    ["triton", POST("/v2/systemsharedmemory/region/r/register")],
    ["openai", POST("/v1/load_lora_adapter", {})],
    ["openai", POST("/sleep")],
    ["ollama", POST("/api/pull", { model: "m" })],
    ["ollama", { method: "DELETE", path: "/api/delete", json: { model: "m" } }],
  ])("%s %j", (api, asked) => {
    expect(describe(api, asked).kind).toBe("admin");
  });
  it("is not sure where a header asks for another method or path, or the body is compressed", () => {
    for (const name of ["x-http-method-override", "x-original-url"]) {
      expect(describe("oip", POST("/v2/models/m/infer", { inputs: [] }, [name, "DELETE"])).unclear).toBeDefined();
    }
    const gzip = { ...request(POST("/v1/chat/completions", { model: "m" })), contentEncoding: "gzip" };
    expect(describeOperation("openai", gzip).unclear).toBe("its body is compressed");
  });
});

suite("paths", () => {
  it.each(["/", "/v2/models/my%20model/infer", "/v1/models/m:predict", "/v1/models/a.b-c~d", "/v2/models/m/infer/"])(
    "%s is in its normal form",
    (path) => {
      expect(pathProblem(path)).toBeUndefined();
    },
  );
  it.each([
    "//v2/repository",
    "/v2//repository",
    "/v2/models/../repository/index",
    "/v2/./repository",
    "/v2/models/%2e%2e/repository",
    "/v2%2frepository/index",
    "/v2/%72epository/index",
    "/v2\\repository",
    "/v2/repository;x=1/index",
    "/v2/repository./index",
    "/v2/repository%00",
    "/v2/repository%5cindex",
    "/v2/%zz",
    "/v2/%",
    "/v2/%ff",
    "/v2/r\u00e9pository",
    "/v2/%253a",
    "v2",
  ])("%s is not", (path) => {
    expect(pathProblem(path)).toEqual(expect.any(String));
  });
});

suite("bodies", () => {
  const state = (text: string | Buffer) => readBody(Buffer.from(text as string), true).state;
  it.each([
    '{"rows":1,"rows":5000}',
    '{"rows":1,"row\\u0073":5000}',
    '{"a":[{"b":{"c":1,"c":2}}]}',
    '{"a":{},"a":{}}',
    '{"\\ud800":1}',
    "\ufeff{}",
    '{"a":1}x',
    "[".repeat(101) + "]".repeat(101),
  ])("%s is no strict JSON", (text) => {
    expect(state(text)).toBe("other");
  });
  it("takes names that come again in other objects, and texts that look like members", () => {
    for (const text of [
      '[{"a":1},{"a":2}]',
      '{"a":{"a":1}}',
      '{"a":"\\",\\"a\\":1"}',
      '{"a":["a","a"],"b":"{\\"a\\":1}"}',
    ]) {
      expect(state(text)).toBe("json");
    }
    expect(state(Buffer.from([0xff, 0xfe]) as never)).toBe("other");
  });
  it("agrees with JSON.parse on whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const read = readBody(Buffer.from(text), true);
        if (read.state === "json") expect(read.value).toEqual(JSON.parse(text));
        else expect(text.isWellFormed() && !/\\ud[89a-f]/i.test(text)).toBe(false);
      }),
    );
  });
  it("finds any member that stands twice", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 2 }), (name, value) => {
        const quoted = JSON.stringify(name);
        const text = JSON.stringify(value);
        expect(state(`{"x":[${text}],"y":{${quoted}:${text},"other member":0,${quoted}:${text}}}`)).toBe("other");
      }),
    );
  });
});

suite("whatever comes", () => {
  it("is described, in numbers that a record can hold", () => {
    const path = fc.constantFrom(
      "/v1/chat/completions",
      "/v1/completions",
      "/v1/embeddings",
      "/v2/models/m/infer",
      "/invocations",
    );
    const apis = fc.constantFrom<Api>("openai", "oip", "triton", "tfserving", "mlflow", "ollama", "generic");
    const member = fc.constantFrom(
      "inputs",
      "instances",
      "input",
      "prompt",
      "n",
      "max_tokens",
      "shape",
      "data",
      "messages",
      "model",
    );
    const json = fc.dictionary(member, fc.oneof(fc.jsonValue(), fc.array(fc.dictionary(member, fc.jsonValue()))));
    fc.assert(
      fc.property(apis, path, json, (api, where, value) => {
        const { rows, tokensRequested, model, texts = [] } = describeOperation(api, request(POST(where, value)));
        for (const count of [rows, tokensRequested]) {
          if (count !== undefined) expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
        }
        expect(model?.isWellFormed() ?? true).toBe(true);
        expect(texts.length).toBeLessThanOrEqual(64);
        expect(texts.every((text) => text.isWellFormed())).toBe(true);
      }),
    );
  });
});
