import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountSmallDisk, type SmallDisk } from "@hoopish/fixtures/small-disk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compare } from "../chaos/ledger.ts";
import type { Received } from "../chaos/traffic.ts";
import { exportLog } from "../world/log.ts";
import { run } from "../world/program.ts";
import { World } from "../world/world.ts";

/** The store's disk fills up while answers are streamed: nothing is delivered that is not in the log. */

let dir: string;
let disk: SmallDisk | undefined;
let world: World | undefined;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "hoopish-small-"));
  disk = mountSmallDisk(join(dir, "data"), 40);
  if (disk === undefined) return;
  world = await World.start({ dir });
  await world.signIn("scientist");
  await world.signIn("audit");
});
afterAll(async () => {
  disk?.free();
  await world?.close();
  disk?.unmount();
  rmSync(dir, { recursive: true, force: true });
});

const ask = (base: string, words: number, delayMs: number): Promise<Response> =>
  fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-test-token-delay": String(delayMs) },
    body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: `write ${words} words` }] }),
  });

async function receive(answer: Promise<Response>): Promise<Received> {
  const chunks: Uint8Array[] = [];
  let whole = false;
  let call = "";
  let status = 0;
  try {
    const response = await answer;
    ({ status } = response);
    call = response.headers.get("hoopish-call") ?? "";
    for await (const chunk of response.body ?? []) chunks.push(chunk);
    whole = true;
  } catch {
    // Cut.
  }
  return { call, status, bytes: Buffer.concat(chunks), whole };
}

async function until(holds: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

it("streams are cut, new calls get 503, nothing delivered is missing, and it recovers by itself", {
  timeout: 120_000,
}, async ({ skip }) => {
  if (disk === undefined || world === undefined) return skip("this process may not mount a file system");
  const { serverUrl } = world;
  const chat = await world.connect("scientist", "chat");
  const before = await receive(ask(chat.base, 50, 0));
  expect(before).toMatchObject({ status: 200, whole: true });
  // Some 20 seconds of answer each: they cannot end before the disk is full.
  const streams = Array.from({ length: 6 }, () => receive(ask(chat.base, 10_000, 2)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  disk.fill();
  const cut = await Promise.all(streams);
  for (const { bytes, whole, status } of cut) {
    expect(status).toBe(200);
    expect(whole).toBe(false);
    expect(bytes.length).toBeGreaterThan(0);
    expect(bytes.toString()).not.toContain("[DONE]");
  }
  await until(async () => (await fetch(`${serverUrl}/readyz`)).status === 503);
  const refused = await ask(chat.base, 5, 0);
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ error: { code: "evidence_unavailable" } });

  disk.free();
  await until(async () => (await fetch(`${serverUrl}/readyz`)).status === 200);
  const after: Received[] = [];
  await until(async () => {
    const received = await receive(ask(chat.base, 50, 0));
    after.push(received);
    return received.status === 200 && received.whole;
  });
  // What was cut is ended in the log by the next start.
  await chat.program.stop("SIGINT");
  expect(await world.server.stop("SIGTERM")).toMatchObject({ code: 0 });
  await world.startServer();
  const answered = after.filter(({ status }) => status === 200);
  expect(compare([before, ...cut, ...answered], await exportLog(world))).toEqual([]);
  const verify = run("hoopish-server", ["verify", "--config", world.path("server.yaml")]);
  expect(await verify.ended, verify.stdout).toMatchObject({ code: 0 });
});
