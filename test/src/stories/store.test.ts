import { openSqliteStore } from "@hoopish/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { World } from "../world/world.ts";

/** What happens when the log cannot be written: nothing is delivered. */

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
});
afterAll(() => world?.close());

describe("a store that cannot be written", () => {
  it("turns every call into 503 evidence_unavailable; nothing of an answer is delivered", async () => {
    expect(typeof openSqliteStore).toBe("function");
    const chat = await world.connect("scientist", "chat");
    const ask = (): Promise<Response> =>
      fetch(`${chat.base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Tell me about applicant 42." }] }),
      });
    expect((await ask()).status).toBe(200);
    const { DatabaseSync } = await import("node:sqlite");
    // Another program holds the database's write lock. What the intake has is durable, so a short hold is nobody's
    // trouble; when the database has not come free, no more is taken.
    const thief = new DatabaseSync(world.databasePath, { timeout: 5_000 });
    thief.exec("BEGIN IMMEDIATE");
    let refused = await ask();
    for (let tries = 0; refused.status === 200 && tries < 100; tries++) {
      await refused.text();
      await new Promise((resolve) => setTimeout(resolve, 100));
      refused = await ask();
    }
    const text = await refused.text();
    expect(refused.status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ error: { code: "evidence_unavailable" } });
    expect(text).not.toContain("@");
    const ready = await fetch(`${world.serverUrl}/readyz`);
    expect(ready.status).toBe(503);
    thief.exec("ROLLBACK");
    thief.close();
    const endMs = Date.now() + 15_000;
    let status = 0;
    while (status !== 200 && Date.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      status = (await ask()).status;
    }
    expect(status).toBe(200);
    await chat.program.stop("SIGINT");
  }, 60_000);
});
