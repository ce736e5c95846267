import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../world/free-port.ts";
import { exportLog, recordOf } from "../world/log.ts";
import { head, speak, statuses } from "../world/wire.ts";
import { type Connected, World } from "../world/world.ts";

const CONNECTIONS = `
  - { name: chat, agent: edge-1, protocol: http, api: openai }
  - { name: credit, agent: edge-1, protocol: http, api: oip, requireReason: true }
  - { name: raw, agent: nobody, protocol: http, api: generic }
  - { name: small, agent: edge-1, protocol: http, api: openai, limits: { requestBytes: 64KiB, responseBytes: 128KiB, concurrentCalls: 1 } }`;
const RULES = `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }`;

let world: World;
let chat: Connected;
beforeAll(async () => {
  world = await World.start({ connections: CONNECTIONS, rules: RULES });
  for (const account of ["scientist", "contractor", "audit"] as const) await world.signIn(account);
  chat = await world.connect("scientist", "chat");
});
afterAll(() => world?.close());

describe("who may connect", () => {
  it("nobody without a group, with exit code 5 and a remedy", async () => {
    const refused = await world.cli("contractor", ["connect", "chat", "--port", "0"]);
    expect(refused.code).toBe(5);
    expect(refused.stderr).toMatch(/^hoopish: .*may not use/m);
    expect(refused.stderr).toMatch(/^ {2}try: /m);
    const listed = await world.cli("contractor", ["connections", "--json"]);
    expect(JSON.parse(listed.stdout)).toEqual({ connections: [] });
  });

  it("nobody to a connection that does not exist, in the same words as one that is not theirs", async () => {
    const missing = await world.cli("scientist", ["connect", "no-such", "--port", "0"]);
    const forbidden = await world.cli("contractor", ["connect", "credit", "--port", "0"]);
    expect(missing.code).toBe(5);
    const neutral = (text: string): string => text.replace(/"[^"]+"/g, "NAME").replace(/\S+@bank\.example/g, "WHO");
    expect(neutral(missing.stderr)).toBe(neutral(forbidden.stderr));
  });

  it("nobody without a reason where one is asked for", async () => {
    const refused = await world.cli("scientist", ["connect", "credit", "--port", "0"]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("--reason");
  });
});

describe("the local port", () => {
  it("is never chosen in silence: one in use is an error", async () => {
    const port = await freePort();
    const squatter = createServer().listen(port, "127.0.0.1");
    const refused = await world.cli("scientist", ["connect", "chat", "--port", String(port)]);
    squatter.close();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(String(port));
  });

  it.each([
    ["a rebinding name", "evil.example"],
    ["a rebinding name with the port", "evil.example:PORT"],
    ["another port", "127.0.0.1:1"],
    ["a name that only begins well", "localhost.evil.example:PORT"],
  ])("refuses a Host of %s", async (_name, host) => {
    const { port } = new URL(chat.base);
    const { text } = await speak(chat.base, [`GET /v1/models HTTP/1.1\r\nHost: ${host.replace("PORT", port)}\r\n\r\n`]);
    expect(statuses(text)).toEqual([403]);
    expect(text).not.toContain('"data"');
  });

  it("refuses a browser's page", async () => {
    const { text } = await speak(chat.base, [
      head(chat.base, "GET /v1/models HTTP/1.1", ["Origin: https://evil.example"]),
    ]);
    expect(statuses(text)).toEqual([403]);
  });

  it("demands its key where that was asked for", async () => {
    const keyed = await world.connect("scientist", "chat", ["--require-key"]);
    expect((await fetch(`${keyed.base}/v1/models`)).status).toBe(401);
    const key = keyed.env.OPENAI_API_KEY ?? "";
    expect(key.length).toBeGreaterThan(20);
    expect((await fetch(`${keyed.base}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
    await keyed.program.stop("SIGINT");
  });
});

describe("limits", () => {
  let small: Connected;
  beforeAll(async () => {
    small = await world.connect("scientist", "small");
  });

  const chatBody = (bytes: number): string =>
    JSON.stringify({ model: "m", messages: [{ role: "user", content: "x".repeat(bytes) }] });
  const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${small.base}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });

  it("a request over the limit is 413, declared or not, and recorded", async () => {
    const declared = await post("/v1/chat/completions", chatBody(70_000));
    expect(declared.status).toBe(413);
    expect(await declared.json()).toMatchObject({
      error: { code: "request_too_large", type: "invalid_request_error" },
    });
    const chunk = "x".repeat(1024);
    const parts = Array.from({ length: 80 }, () => `400\r\n${chunk}\r\n`);
    const chunked = await speak(small.base, [
      head(small.base, "POST /v1/chat/completions HTTP/1.1", ["Transfer-Encoding: chunked"]),
      ...parts,
    ]);
    expect(statuses(chunked.text)).toEqual([413]);
    const exported = await exportLog(world);
    const call = declared.headers.get("hoopish-call");
    expect(recordOf(exported, call, "call.decided")).toMatchObject({ verdict: "block", code: "request_too_large" });
    expect(recordOf(exported, call, "call.answered")).toMatchObject({ status: 413, outcome: "refused" });
  });

  it("an answer over the limit is refused when declared, cut when it only grows", async () => {
    const declared = await post("/v1/chat/completions", chatBody(1), {
      "x-test-mode": "huge",
      "x-test-bytes": "200000",
    });
    const text = await declared.text().catch((error: Error) => error);
    if (declared.status === 200) expect(text).toBeInstanceOf(Error);
    else expect(declared.status).toBe(502);
    const exported = await exportLog(world);
    expect(recordOf(exported, declared.headers.get("hoopish-call"), "call.answered")).toMatchObject({
      code: "response_too_large",
    });
  });

  it("more calls at a time than the connection takes are 429", async () => {
    const slow = post("/v1/chat/completions", chatBody(1), { "x-test-mode": "slow", "x-test-delay-ms": "800" });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const second = await post("/v1/chat/completions", chatBody(1));
    expect(second.status).toBe(429);
    expect(await second.json()).toMatchObject({ error: { code: "rate_limited" } });
    expect((await slow).status).toBe(200);
    expect((await post("/v1/chat/completions", chatBody(1))).status).toBe(200);
  });
});

describe("a connection whose agent is not there", () => {
  it("answers 503 agent_unavailable in the client's shape", async () => {
    const raw = await world.connect("scientist", "raw");
    const answer = await fetch(`${raw.base}/anything`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(answer.headers.get("retry-after")).not.toBeNull();
    expect(await answer.json()).toMatchObject({ code: "agent_unavailable", status: 503 });
  });
});
