import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
});
afterAll(() => world?.close());

/** Reads a stream until it breaks; what came until then. */
async function readUntilBroken(base: string, seed: number): Promise<{ call: string; bytes: Buffer; whole: boolean }> {
  const answer = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-test-token-delay": "3" },
    body: JSON.stringify({ model: "m", stream: true, seed, messages: [{ role: "user", content: "write 3000 words" }] }),
  });
  const chunks: Uint8Array[] = [];
  let whole = false;
  try {
    for await (const chunk of answer.body ?? []) chunks.push(chunk);
    whole = true;
  } catch {
    // Broken off: that is what is wanted.
  }
  return { call: answer.headers.get("hoopish-call") ?? "", bytes: Buffer.concat(chunks), whole };
}

describe("a server that is killed", () => {
  it("loses no delivered byte; connect comes back by itself; the log tells what was cut", async () => {
    const chat: Connected = await world.connect("scientist", "chat");
    const broken: { call: string; bytes: Buffer; whole: boolean }[] = [];
    for (const afterMs of [40, 170, 400]) {
      const streams = Array.from({ length: 8 }, (_, seed) => readUntilBroken(chat.base, seed));
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      world.server.child.kill("SIGKILL");
      broken.push(
        ...(await Promise.all(
          streams.map((stream) => stream.catch(() => ({ call: "", bytes: Buffer.alloc(0), whole: false }))),
        )),
      );
      await world.startServer();
      // Its agent and the CLI dial again without help.
      await chat.program.until(
        () =>
          chat.program.events.filter((event) => (event as { event: string }).event === "ready").length >
          broken.length / 8
            ? true
            : undefined,
        40_000,
      );
      await until(async () => (await fetch(`${chat.base}/v1/models`).catch(() => undefined))?.status === 200);
    }
    const exported = await exportLog(world);
    const cut = broken.filter(({ call }) => call !== "");
    expect(cut.length).toBeGreaterThan(8);
    for (const { call, bytes, whole } of cut) {
      expect(whole).toBe(false);
      const stored = exported.payloads.get(`${call} delivered`) ?? Buffer.alloc(0);
      expect(
        stored.subarray(0, bytes.length).equals(bytes),
        `${call}: ${bytes.length} delivered, ${stored.length} stored`,
      ).toBe(true);
      const types = exported.records.filter((record) => record.call === call).map(({ type }) => type);
      expect(types).toEqual(["call.decided", "call.interrupted"]);
    }
    const opened = exported.records.filter(({ type }) => type === "session.open").map(({ session }) => session);
    const closed = exported.records.filter(({ type }) => type === "session.close").map(({ session }) => session);
    expect(opened.filter((id) => !closed.includes(id)).length).toBe(1);
    expect(exported.indexes).toEqual(exported.indexes.map((_, i) => (exported.indexes[0] ?? 0) + i));
    await chat.program.stop("SIGINT");
  }, 150_000);
});

describe("a server that is asked to stop", () => {
  it("lets running calls end, refuses new ones, and says so in the log", async () => {
    const chat = await world.connect("scientist", "chat");
    const answer = await fetch(`${chat.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-test-token-delay": "20" },
      body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "write 60 words" }] }),
    });
    const text = answer.text();
    const stopped = world.server.stop("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await fetch(`${world.serverUrl}/readyz`).catch(() => ({ status: 503 }))).status).toBe(503);
    expect((await text).trimEnd().endsWith("data: [DONE]")).toBe(true);
    expect(await stopped).toMatchObject({ code: 0 });
    await world.startServer();
    await until(async () => (await fetch(`${chat.base}/v1/models`).catch(() => undefined))?.status === 200);
    const { records } = await exportLog(world);
    expect(records.filter(({ type }) => type === "server.stopped").length).toBeGreaterThan(0);
    await chat.program.stop("SIGINT");
  }, 60_000);

  it("refuses to share its database", async () => {
    const { run } = await import("../world/program.ts");
    const second = run("hoopish-server", ["start", "--config", world.path("server.yaml"), "--json"]);
    expect((await second.ended).code).toBe(78);
    expect(second.stderr).toMatch(/another hoopish-server/);
  });
});

async function until(holds: () => Promise<boolean>, timeoutMs = 40_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (Date.now() < endMs) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within ${timeoutMs} ms`);
}
