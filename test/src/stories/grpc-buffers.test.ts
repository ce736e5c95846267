import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { applicant, clientOf, type GrpcModelServer, startGrpcModelServer } from "@hoopish/fixtures";
import { afterAll, beforeAll, expect, it } from "vitest";
import { restartAgent, restartServer } from "../world/restart.ts";
import { type Connected, World } from "../world/world.ts";

/**
 * Node (24 and before) joins a text that is written to an HTTP/2 stream between Buffers with memory that was never its own. So
 * neither server nor agent may ever write one, whatever they answer: refusals, masked texts, broken answers.
 */

let world: World;
let model: GrpcModelServer;
let scores: Connected;
const seen = (program: string): string => world.path(`${program}.written`);

/** Notes the kind of everything that is written to an HTTP/2 stream. */
const spy = (file: string): string => `
import { appendFileSync } from "node:fs";
import { Duplex } from "node:stream";
for (const name of ["write", "end"]) {
  const method = Duplex.prototype[name];
  Duplex.prototype[name] = function (chunk, ...rest) {
    if (/Http2Stream$/.test(this.constructor.name) && chunk !== undefined && typeof chunk !== "function") {
      appendFileSync(${JSON.stringify(file)}, (Buffer.isBuffer(chunk) ? "Buffer" : typeof chunk) + "\\n");
    }
    return method.call(this, chunk, ...rest);
  };
}
`;

beforeAll(async () => {
  model = await startGrpcModelServer({ token: "t" });
  world = await World.start({
    rules: `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }
  - { name: bulk, connections: ["*"], when: call.rows > 100, then: block, message: "Zu viele Zeilen — ü." }`,
    connections: `
  - { name: scores, agent: edge-1, protocol: grpc, api: oip }`,
    serverExtra: `masking:
  - { name: answers, connections: [scores], direction: response, detect: [US_SSN], action: redact }
`,
    targets: `
  - { name: scores, target: "${model.url}", credential: { header: Authorization, value: "Bearer t" } }`,
  });
  const spied = (program: string): string[] => {
    const file = world.path(`${program}-spy.mjs`);
    writeFileSync(file, spy(seen(program)));
    return ["--import", pathToFileURL(file).href];
  };
  await restartServer(world, spied("server"));
  await restartAgent(world, spied("agent"));
  await world.signIn("scientist");
  scores = await world.connect("scientist", "scores");
}, 60_000);
afterAll(async () => {
  await world?.close();
  await model?.close();
});

type Method = (request: unknown, done: (error: ServiceError | null, answer: unknown) => void) => void;

it("writes nothing but Buffers to an HTTP/2 stream, in the server and in the agent", async () => {
  const service = new (clientOf("inference.GRPCInferenceService"))(
    `127.0.0.1:${scores.port}`,
    credentials.createInsecure(),
  ) as unknown as Client & Record<string, Method>;
  const call = (name: string, request: unknown): Promise<string> =>
    new Promise((resolve) => {
      (service[name] as Method).call(service, request, (error) =>
        resolve(error === null ? "answered" : String(error.code)),
      );
    });
  const rows = (count: number): unknown => ({
    model_name: "credit",
    inputs: [
      {
        name: "rows",
        datatype: "FP64",
        shape: [count, 8],
        contents: { fp64_contents: Array.from({ length: count }, (_, i) => applicant(i + 1).features).flat() },
      },
    ],
  });
  try {
    expect(await call("ServerLive", {})).toBe("answered");
    expect(await call("ModelInfer", rows(1))).toBe("answered");
    expect(await call("ModelInfer", rows(101))).toBe("7");
    expect(await call("ModelInfer", { model_name: "nobody's — ü", inputs: [] })).not.toBe("answered");
    expect(await call("RepositoryIndex", {})).not.toBe("7");
  } finally {
    service.close();
  }
  for (const program of ["server", "agent"]) {
    const file = seen(program);
    expect(existsSync(file), program).toBe(true);
    expect([...new Set(readFileSync(file, "utf8").trim().split("\n"))], program).toEqual(["Buffer"]);
  }
});
