import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connected, World } from "../world/world.ts";

/**
 * Ways around the rules, tried through the local port as an attacker who owns the laptop would. The list only grows: what
 * once got by, or could have, stays. None may reach the model.
 */

const RULES = `
  - { name: scientists, connections: [credit], groups: [data-science], then: allow }
  - name: bulk-prediction
    connections: ["*"]
    when: call.rows > 100
    then: hold
    approval: { groups: [risk-officers], wait: 0s, expires: 1m }
  - { name: no-admin, connections: ["*"], when: 'call.kind == "admin"', then: block }
  - { name: a-minute, connections: ["*"], groups: [data-science], when: call.rows <= 100, then: block, rate: { rows: 50, per: 1m, by: user } }`;

let world: World;
let credit: Connected;
beforeAll(async () => {
  world = await World.start({ rules: RULES });
  await world.signIn("scientist");
  credit = await world.connect("scientist", "credit");
}, 60_000);
afterAll(() => world?.close());

const INFER = "/v2/models/credit/infer";
const tensor = (shape: readonly number[], values: number, more: object = {}): object => ({
  ...{ name: "rows", shape, datatype: "FP64", data: new Array<number>(values).fill(1) },
  ...more,
});
const body = (...inputs: readonly object[]): string => JSON.stringify({ inputs });
const BULK = body(tensor([5_000, 8], 40_000));
const ONE = body(tensor([1, 8], 8));

interface Attempt {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Bytes of each chunk; Content-Length otherwise. */
  readonly chunk?: number;
}
function attempt({ method = "POST", path = INFER, headers = {}, body: content = "", chunk }: Attempt): Promise<number> {
  const bytes = Buffer.from(content as string);
  const length = chunk === undefined ? { "content-length": String(bytes.length) } : {};
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        port: credit.port,
        host: "127.0.0.1",
        method,
        path,
        headers: { "content-type": "application/json", ...length, ...headers },
      },
      (answer) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode ?? 0));
      },
    );
    sent.on("error", reject);
    if (chunk === undefined) sent.end(bytes);
    else {
      for (let at = 0; at < bytes.length; at += chunk) sent.write(bytes.subarray(at, at + chunk));
      sent.end();
    }
  });
}

const reached = (): number => world.model?.stats().requests ?? Number.NaN;

describe("a bulk prediction that is to look small", () => {
  it.each<[string, Attempt]>([
    ["as it is", { body: BULK }],
    [
      "a member that stands twice",
      { body: `{"inputs":${JSON.stringify([tensor([1, 8], 8)])},"inputs":${BULK.slice(10)}` },
    ],
    [
      "the same, escaped",
      { body: `{"inputs":${JSON.stringify([tensor([1, 8], 8)])},"\\u0069nputs":${BULK.slice(10)}` },
    ],
    ["another content type", { body: BULK, headers: { "content-type": "text/plain" } }],
    ["a binary content type", { body: BULK, headers: { "content-type": "application/octet-stream" } }],
    ["no content type", { body: BULK, headers: { "content-type": "" } }],
    ["compressed", { body: gzipSync(BULK), headers: { "content-encoding": "gzip" } }],
    ["said to be compressed", { body: BULK, headers: { "content-encoding": "br" } }],
    ["in small chunks", { body: BULK, chunk: 1_000 }],
    ["after a byte order mark", { body: `\ufeff${BULK}` }],
    ["a batch one dimension down", { body: body(tensor([1, 5_000, 8], 40_000)) }],
    ["a shape that says less than the data", { body: body(tensor([1, 8], 40_000)) }],
    [
      "nested data behind a small shape",
      { body: body(tensor([1], 0, { data: new Array(5_000).fill(new Array(8).fill(1)) })) },
    ],
    ["a second input", { body: body(tensor([1, 8], 8), tensor([5_000, 8], 40_000)) }],
    ["no shape", { body: body({ name: "rows", datatype: "FP64", data: [1] }) }],
    ["a shape of text", { body: body(tensor(["1"] as never, 8)) }],
    ["a negative shape", { body: body(tensor([-1, 8], 8)) }],
    ["an encoded tensor", { body: body(tensor([1], 0, { datatype: "BYTES", data: ["A".repeat(100_000)] })) }],
    ["a binary tensor", { body: body(tensor([1, 8], 0, { parameters: { binary_data_size: 320_000 } })) }],
    ["shared memory", { body: body(tensor([1, 8], 8, { parameters: { shared_memory_region: "r" } })) }],
    ["not JSON", { body: "inputs=5000" }],
    ["no body", {}],
    ["another method by header", { body: ONE, headers: { "x-http-method-override": "DELETE" } }],
    ["another path by header", { body: ONE, headers: { "x-original-url": "/v2/repository/index" } }],
    ["a slash at the end", { path: `${INFER}/`, body: BULK }],
    ["another case", { path: "/V2/Models/credit/INFER", body: BULK }],
    ["a query", { path: `${INFER}?rows=1`, body: BULK }],
    ["larger than the limit", { body: body(tensor([1, 8], 3_000_000)) }],
  ])("%s", async (_, how) => {
    const before = reached();
    expect([400, 403, 413]).toContain(await attempt(how));
    expect(reached()).toBe(before);
  });
});

describe("a repository change that is to look like something else", () => {
  it.each([
    "/v2/repository/models/credit/unload",
    "/V2/REPOSITORY/models/credit/unload",
    "/v2/repository/models/credit/unload/",
    "//v2/repository/models/credit/unload",
    "/v2//repository/models/credit/unload",
    "/v2/./repository/models/credit/unload",
    "/v2/models/../repository/models/credit/unload",
    "/v2/models/%2e%2e/repository/models/credit/unload",
    "/v2/%72epository/models/credit/unload",
    "/v2%2frepository/models/credit/unload",
    "/v2/repository./models/credit/unload",
    "/v2/repository;a=b/models/credit/unload",
    "/v2/repository%00/models/credit/unload",
    "/v2\\repository\\models\\credit\\unload",
  ])("%s", async (path) => {
    const before = reached();
    expect([400, 403]).toContain(await attempt({ path }));
    expect(reached()).toBe(before);
  });
});

it("many small calls side by side get no more than the rows of a minute", async () => {
  const statuses = await Promise.all(Array.from({ length: 30 }, () => attempt({ body: body(tensor([5, 8], 40)) })));
  expect(statuses.filter((status) => status === 200).length).toBe(10);
  expect(statuses.filter((status) => status === 429).length).toBe(20);
}, 20_000);
