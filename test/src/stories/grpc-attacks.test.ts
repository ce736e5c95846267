import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import { type Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { applicant, clientOf, type GrpcModelServer, startGrpcModelServer } from "@hoopish/fixtures";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

/** What a client, or a model server, may send over HTTP/2 to get past the gate or to bring it down. */

const RULES = `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }
  - { name: bulk, connections: ["*"], when: call.rows > 100, then: block, message: "Too many rows." }
  - { name: no-ssn, connections: [scores], when: '"US_SSN" in findings', then: block, message: "No SSNs." }`;

/** More than waits for the end of an answer, and than a tunnel's window. */
const LARGE = 700_000;
/** A ModelMetadataResponse with a name of this length. */
function nameOf(length: number): Buffer {
  const varint: number[] = [];
  for (let rest = length; ; rest >>>= 7) {
    varint.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  const message = Buffer.concat([Buffer.from([0x0a, ...varint]), Buffer.alloc(length, "x")]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
async function slowly(stream: ServerHttp2Stream, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 50_000) {
    stream.write(bytes.subarray(at, at + 50_000));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stream.end();
}

let world: World;
let model: GrpcModelServer;
let liar: Http2Server;
let scores: Connected;
let lies: Connected;
let unmasked: Connected;
beforeAll(async () => {
  model = await startGrpcModelServer({ token: "t" });
  liar = createServer();
  // Answers as its path says: a model server that breaks the protocol.
  liar.on("stream", (stream, headers) => {
    const grpc = { ":status": 200, "content-type": "application/grpc" };
    stream.on("error", () => undefined);
    switch (headers[":path"]) {
      case "/inference.GRPCInferenceService/ServerLive":
        // No trailers: nobody knows how it ended.
        stream.respond(grpc);
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
        return;
      case "/inference.GRPCInferenceService/ServerReady":
        stream.respond(grpc, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        // A length that is not there.
        stream.end(Buffer.from([0, 0, 0, 0, 9, 8, 1]));
        return;
      case "/inference.GRPCInferenceService/ModelMetadata":
        stream.respond(grpc, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        void slowly(stream, nameOf(LARGE));
        return;
      case "/inference.GRPCInferenceService/ModelReady":
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end("<html>");
        return;
      default:
        stream.respond(grpc);
        stream.write(Buffer.from([0, 0, 0, 0]));
        setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 50);
    }
  });
  await new Promise<void>((resolve) => liar.listen(0, "127.0.0.1", resolve));
  world = await World.start({
    rules: RULES,
    connections: `
  - { name: scores, agent: edge-1, protocol: grpc, api: oip, limits: { requestBytes: 1MiB } }
  - { name: lies, agent: edge-1, protocol: grpc, api: oip }
  - { name: unmasked, agent: edge-1, protocol: grpc, api: oip }`,
    serverExtra: `masking:
  - { name: answers, connections: [lies], direction: response, detect: [US_SSN], action: redact }
`,
    targets: `
  - { name: scores, target: "${model.url}", credential: { header: Authorization, value: "Bearer t" } }
  - { name: lies, target: "grpc://127.0.0.1:${(liar.address() as { port: number }).port}" }
  - { name: unmasked, target: "grpc://127.0.0.1:${(liar.address() as { port: number }).port}" }`,
  });
  for (const account of ["scientist", "audit"] as const) await world.signIn(account);
  scores = await world.connect("scientist", "scores");
  lies = await world.connect("scientist", "lies");
  unmasked = await world.connect("scientist", "unmasked");
}, 60_000);
afterAll(async () => {
  await world?.close();
  await model?.close();
  liar?.close();
});

const INFER = "/inference.GRPCInferenceService/ModelInfer";
interface Answer {
  readonly status: string;
  readonly message: string;
  readonly bytes: number;
}
/** One call with exactly these bytes; `status`: grpc-status, or what else ended it. */
async function raw(to: Connected, path: string, bytes: Buffer, headers: IncomingHttpHeaders = {}): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${to.port}`);
  session.on("error", () => undefined);
  try {
    return await new Promise<Answer>((resolve) => {
      const stream = session.request({
        ...{ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" },
        ...headers,
      });
      let seen: IncomingHttpHeaders = {};
      let length = 0;
      stream.on("response", (answer) => {
        seen = { ...seen, ...answer };
      });
      stream.on("trailers", (answer) => {
        seen = { ...seen, ...answer };
      });
      stream.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      stream.on("error", () => undefined);
      stream.on("close", () =>
        resolve({
          status: String(seen["grpc-status"] ?? `reset ${stream.rstCode}`),
          message: decodeURIComponent(String(seen["grpc-message"] ?? "")),
          bytes: length,
        }),
      );
      stream.end(bytes);
    });
  } finally {
    session.close();
  }
}
const frame = (message: Buffer, flag = 0): Buffer => {
  const head = Buffer.from([flag, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};
const client = (to: Connected): Client & Record<string, CallableFunction> =>
  new (clientOf("inference.GRPCInferenceService"))(`127.0.0.1:${to.port}`, credentials.createInsecure()) as never;
const ask = (to: Connected, method: string, request: object): Promise<ServiceError | object> => {
  const one = client(to);
  return new Promise((resolve) => {
    one[method]?.(request, (error: ServiceError | null, answer: object) => {
      one.close();
      resolve(error ?? answer);
    });
  });
};
const input = (over: object) => ({
  name: "rows",
  datatype: "FP64",
  shape: [1, 8],
  contents: { fp64_contents: applicant(1).features },
  ...over,
});

describe("a request that is not what it says", () => {
  it.each([
    ["a length prefix beyond its end", Buffer.from([0, 0, 0, 0, 99, 1, 2])],
    ["a length prefix beyond all limits", Buffer.from([0, 0xff, 0xff, 0xff, 0xff])],
    ["a flag that there is not", frame(Buffer.from([0x0a, 1, 0x61]), 7)],
    ["half a prefix", Buffer.from([0, 0])],
  ])("%s", async (_what, bytes) => {
    const { status, bytes: answered } = await raw(scores, INFER, bytes);
    expect(["3", "8"]).toContain(status);
    expect(answered).toBe(0);
  });

  it("a compressed bomb is not unpacked", async () => {
    const bomb = frame(gzipSync(Buffer.alloc(200 * 1_048_576)), 1);
    expect(bomb.length).toBeLessThan(1_048_576);
    const { status } = await raw(scores, INFER, bomb, { "grpc-encoding": "gzip" });
    expect(["3", "8"]).toContain(status);
  });

  it("a compression that nobody here knows", async () => {
    expect((await raw(scores, INFER, frame(Buffer.from([1]), 1), { "grpc-encoding": "snappy" })).status).toBe("3");
  });

  it("two messages where the method takes one are no certain call", async () => {
    const one = frame(Buffer.from([0x0a, 6, ...Buffer.from("credit")]));
    expect((await raw(scores, INFER, Buffer.concat([one, one]))).status).toBe("7");
  });

  it.each([
    ["an unknown method", "/inference.GRPCInferenceService/Nothing"],
    ["another case", "/inference.GRPCInferenceService/modelinfer"],
    ["an unknown service", "/evil.Service/Run"],
  ])("%s", async (_what, path) => {
    expect((await raw(scores, path, frame(Buffer.alloc(0)))).status).toBe("7");
  });

  it.each([
    ["two slashes", "//inference.GRPCInferenceService/ModelInfer"],
    ["percent-encoding", "/inference.GRPCInferenceService/Model%49nfer"],
    ["a query", "/inference.GRPCInferenceService/ModelInfer?x=1"],
  ])("%s in the path", async (_what, path) => {
    expect((await raw(scores, path, frame(Buffer.alloc(0)))).status).toBe("3");
  });

  it.each([
    ["another content type", { "content-type": "application/json" }],
    ["another method", { ":method": "GET" }],
    ["a foreign authority, as a rebound name has it", { ":authority": "evil.example" }],
  ])("%s", async (_what, headers) => {
    expect(["3", "7"]).toContain((await raw(scores, INFER, Buffer.alloc(0), headers)).status);
  });

  it("HTTP/1.1 on a port of gRPC gets nothing", async () => {
    const answer = await fetch(`http://127.0.0.1:${scores.port}/`).then(
      ({ status }) => status,
      () => "cut",
    );
    expect(answer).toBe("cut");
  });
});

describe("a tensor that hides what it asks", () => {
  it.each([
    ["its shape says less than its data", input({ contents: { fp64_contents: new Array(8 * 500).fill(1) } })],
    ["its shape says more", input({ shape: [2, 8] })],
    ["a negative shape", input({ shape: [-1, 8] })],
    [
      "a batch in the second dimension",
      input({ shape: [1, 500, 8], contents: { fp64_contents: new Array(8 * 500).fill(1) } }),
    ],
  ])("%s", async (_what, tensor) => {
    expect(await ask(scores, "ModelInfer", { model_name: "credit", inputs: [tensor] })).toMatchObject({ code: 7 });
  });

  it("raw bytes beside contents, or for another number of inputs", async () => {
    const rawBytes = [Buffer.alloc(64), Buffer.alloc(64)];
    const request = { model_name: "credit", inputs: [input({})], raw_input_contents: rawBytes };
    expect(await ask(scores, "ModelInfer", request)).toMatchObject({ code: 7 });
  });

  it("texts in raw_input_contents are looked at", async () => {
    const text = Buffer.from(`SSN ${applicant(1).ssn}`);
    const element = Buffer.concat([Buffer.from([text.length, 0, 0, 0]), text]);
    const tensor = { name: "text", datatype: "BYTES", shape: [1] };
    expect(
      await ask(scores, "ModelInfer", { model_name: "echo", inputs: [tensor], raw_input_contents: [element] }),
    ).toMatchObject({
      code: 7,
      details: expect.stringContaining("No SSNs."),
    });
    // A length that lies about where the text ends.
    const lying = Buffer.concat([Buffer.from([1, 0, 0, 0]), text]);
    expect(
      await ask(scores, "ModelInfer", { model_name: "echo", inputs: [tensor], raw_input_contents: [lying] }),
    ).toMatchObject({ code: 7 });
  });
});

describe("a model server that breaks the protocol", () => {
  it.each([
    ["no trailers", "ServerLive"],
    ["a message that is cut off", "ServerReady"],
    ["an answer that is no gRPC", "ModelReady"],
    ["a reset in the middle", "ServerMetadata"],
  ])("%s: never a good answer", async (_what, method) => {
    const answer = (await ask(lies, method, {})) as ServiceError;
    // INTERNAL where it was looked into, UNAVAILABLE else.
    expect([13, 14], answer.details).toContain(answer.code);
  });
});

it("an answer of one message that is larger than any window comes whole, with or without masking", async () => {
  for (const to of [lies, unmasked]) {
    const { name } = (await ask(to, "ModelMetadata", {})) as { name: string };
    expect(name).toBe("x".repeat(LARGE));
  }
});

it("10,000 rapid resets leave the gateway well", async () => {
  const before = model.stats();
  let resets = 0;
  for (let round = 0; round < 10; round++) {
    const session: ClientHttp2Session = connect(`http://127.0.0.1:${scores.port}`);
    session.on("error", () => undefined);
    await new Promise((resolve) => session.once("connect", resolve));
    for (let i = 0; i < 1_000 && !session.destroyed && !session.closed; i++) {
      try {
        const stream = session.request({ ":method": "POST", ":path": INFER, "content-type": "application/grpc" });
        stream.on("error", () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
        resets += 1;
      } catch {
        break;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    session.destroy();
  }
  expect(resets).toBeGreaterThan(5_000);
  // Each was a call that is recorded; when that is done the connection takes others.
  await expect
    .poll(() => ask(scores, "ModelInfer", { model_name: "credit", inputs: [input({})] }), { timeout: 30_000 })
    .toMatchObject({ outputs: [{ name: "probability_of_default" }] });
  expect(model.stats().refused).toBe(before.refused);
}, 60_000);

it("a stream that is left half-closed, and garbage after the preface, cost their own connection alone", async () => {
  const socket = connectTcp(scores.port, "127.0.0.1");
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  socket.resume();
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(Buffer.alloc(1_000, 0xff));
  await ended;
  const session = connect(`http://127.0.0.1:${scores.port}`);
  session.on("error", () => undefined);
  const stream = session.request({ ":method": "POST", ":path": INFER, "content-type": "application/grpc" });
  stream.on("error", () => undefined);
  stream.write(Buffer.from([0, 0, 0]));
  await new Promise((resolve) => setTimeout(resolve, 100));
  session.destroy();
  expect(await ask(scores, "ServerLive", {})).toEqual({ live: true });
});

it("every refusal stands in the log", async () => {
  const { records } = await exportLog(world);
  const refused = records.filter(
    (record) => record.type === "call.decided" && record.protocol === "grpc" && record.verdict === "block",
  );
  expect(refused.length).toBeGreaterThan(15);
  for (const { path } of refused) expect(path).toBeTypeOf("string");
});
