import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog, recordOf } from "../world/log.ts";
import { head, speak, statuses } from "../world/wire.ts";
import { type Connected, World } from "../world/world.ts";

const CONNECTIONS = `
  - { name: chat, agent: edge-1, protocol: http, api: openai, limits: { callSeconds: 3 } }
  - { name: raw, agent: edge-1, protocol: http, api: generic, limits: { responseBytes: 300MiB } }
  - { name: credit, agent: edge-1, protocol: http, api: oip }`;

let world: World;
let chat: Connected;
let raw: Connected;
beforeAll(async () => {
  world = await World.start({ connections: CONNECTIONS });
  await world.signIn("scientist");
  await world.signIn("audit");
  chat = await world.connect("scientist", "chat");
  raw = await world.connect("scientist", "raw");
});
afterAll(() => world?.close());

const body = (extra: object = {}): string =>
  JSON.stringify({ model: "m", messages: [{ role: "user", content: "Tell me about applicant 42." }], ...extra });
const post = (headers: Record<string, string> = {}, extra: object = {}, base = chat.base): Promise<Response> =>
  fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: body(extra),
  });

/** A stream in flight: reads on in the background. */
async function openStream(base: string, tokenDelayMs: number): Promise<{ call: string; text: Promise<string> }> {
  const answer = await post({ "x-test-token-delay": String(tokenDelayMs) }, { stream: true, max_tokens: 500 }, base);
  expect(answer.status).toBe(200);
  return { call: answer.headers.get("hoopish-call") ?? "", text: answer.text() };
}

describe("a model server that fails", () => {
  it("by being slow: 504 after the call's time, and its work is stopped", async () => {
    const answer = await post({ "x-test-mode": "slow", "x-test-delay-ms": "8000" });
    expect(answer.status).toBe(504);
    expect(await answer.json()).toMatchObject({ error: { code: "upstream_timeout", type: "server_error" } });
  });

  it("by dying mid-body: the client sees a broken connection, never a clean end", async () => {
    for (const mode of ["die-midbody", "die-midstream"]) {
      const request = `${head(raw.base, "POST /v1/chat/completions HTTP/1.1", ["content-type: application/json", `x-test-mode: ${mode}`, `content-length: ${body({ stream: true }).length}`])}${body({ stream: true })}`;
      const { text, ended } = await speak(raw.base, [request]);
      if (statuses(text)[0] === 200) {
        expect(ended, mode).toBe("reset");
        expect(text, mode).not.toMatch(/\r\n0\r\n\r\n$/);
        expect(text, mode).not.toContain("[DONE]");
      } else expect(statuses(text), mode).toEqual([502]);
    }
  });

  it("by not speaking HTTP: 502", async () => {
    const answer = await post({ "x-test-mode": "bad-http" });
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ error: { code: "upstream_failed" } });
  });

  it("with an error of its own: passed on as it is", async () => {
    expect((await post({ "x-test-mode": "status-500" })).status).toBe(500);
    const malformed = await post({ "x-test-mode": "malformed" });
    expect(malformed.status).toBe(200);
    expect(() => JSON.parse("{")).toThrow();
  });
});

describe("a client that leaves", () => {
  it("stops the model's generation", async () => {
    const before = world.model?.stats() ?? { aborted: 0 };
    const controller = new AbortController();
    const answer = await fetch(`${raw.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-test-token-delay": "50" },
      body: body({ stream: true, messages: [{ role: "user", content: "write 2000 words" }] }),
      signal: controller.signal,
    });
    const call = answer.headers.get("hoopish-call");
    await answer.body?.getReader().read();
    controller.abort();
    const endMs = Date.now() + 1_000;
    while ((world.model?.stats().aborted ?? 0) <= before.aborted && Date.now() < endMs)
      await new Promise((next) => setTimeout(next, 20));
    expect(world.model?.stats().aborted).toBeGreaterThan(before.aborted);
    expect(recordOf(await exportLog(world), call, "call.answered")).toMatchObject({ outcome: "client_gone" });
  });
});

describe("a session that is killed", () => {
  it("is cut mid-generation in under a second, and the model stops", async () => {
    const live = await world.connect("scientist", "raw");
    const { call, text } = await openStream(live.base, 50);
    const broken = expect(text).rejects.toThrow();
    const killed = world.cli("platform", ["sessions", "kill", live.session, "--reason", "left the bank"]);
    await live.program.event(({ event }) => event === "revoked");
    await broken;
    expect((await killed).code).toBe(0);
    expect((await live.program.ended).code).toBe(5);
    const exported = await exportLog(world);
    expect(recordOf(exported, call, "call.answered")).toMatchObject({ outcome: "revoked" });
    const closed = exported.records.find(
      (record) => record.type === "session.close" && record.session === live.session,
    );
    expect(closed).toMatchObject({ reason: "left the bank", by: "platform@bank.example" });
  });

  it("is not for others to kill", async () => {
    const live = await world.connect("scientist", "raw");
    await world.signIn("risk1");
    expect((await world.cli("risk1", ["sessions", "kill", live.session])).code).not.toBe(0);
    expect((await fetch(`${live.base}/v1/models`)).status).toBe(200);
    await live.program.stop("SIGINT");
  });
});

describe("agents", () => {
  it("two of one name share the calls; one that is killed loses only its own", async () => {
    await world.enrolAgent("edge-2").catch(() => undefined);
    const first = await openStream(raw.base, 50);
    world.agent.child.kill("SIGKILL");
    await expect(first.text).rejects.toThrow();
    const offline = await fetch(`${raw.base}/v1/models`);
    expect([502, 503]).toContain(offline.status);
    world.agent = await world.startAgent("edge-1");
    const second = await world.startAgent("edge-1");
    expect((await fetch(`${raw.base}/v1/models`)).status).toBe(200);
    const streams = await Promise.all([openStream(raw.base, 40), openStream(raw.base, 40)]);
    second.child.kill("SIGKILL");
    const ends = await Promise.allSettled(streams.map(({ text }) => text));
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const exported = await exportLog(world);
    expect(recordOf(exported, first.call, "call.answered")).toMatchObject({ outcome: "upstream_failed" });
  });

  it("without an enrolled key gets no tunnel", async () => {
    const { execFileSync } = await import("node:child_process");
    const { cpSync, rmSync } = await import("node:fs");
    const { binPath, run } = await import("../world/program.ts");
    expect(binPath("hoopish-agent")).toContain("hoopish-agent");
    cpSync(world.path("edge-1.yaml"), world.path("forged.yaml"));
    execFileSync("sed", ["-i", "s/edge-1.key/forged.key/", world.path("forged.yaml")]);
    rmSync(world.path("forged.key"), { force: true });
    const used = run("hoopish-agent", [
      "join",
      "--config",
      world.path("forged.yaml"),
      "--token-file",
      world.path("edge-1.token"),
    ]);
    expect((await used.ended).code).not.toBe(0);
    expect(used.stderr).toMatch(/used|expired/);
  });

  it("whose key is revoked is cut at once", async () => {
    const listed = await world.cli("platform", ["agent", "list", "--json"]);
    const { agents } = JSON.parse(listed.stdout) as { agents: { id: string; name: string; instances: unknown[] }[] };
    const edge = agents.find(({ name, instances }) => name === "edge-1" && instances.length > 0);
    expect((await world.cli("platform", ["agent", "revoke", edge?.id ?? ""])).code).toBe(0);
    expect((await fetch(`${raw.base}/v1/models`)).status).toBe(503);
  });
});
