import { readFileSync, writeFileSync } from "node:fs";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../world/program.ts";
import { type Connected, World } from "../world/world.ts";

/** Whoever called a model can take the proof of it away, and anybody can check that with a key and nothing of ours. */

let world: World;
let chat: Connected;

beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  chat = await world.connect("scientist", "chat");
});
afterAll(() => world?.close());

/** Somebody else's machine: no settings, no server. */
async function check(
  file: string,
  key = world.vkey,
): Promise<{ code: number | null; report: Record<string, unknown> }> {
  const program = run("hoopish", ["audit", "receipt", "--check", file, "--key", key, "--json"], {
    env: { HOME: world.path("nobody"), HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
  });
  const { code } = await program.ended;
  return { code, report: JSON.parse(program.stdout) as Record<string, unknown> };
}

describe("a receipt", () => {
  it("of a call that the openai SDK made: header, receipt, offline check", async () => {
    const openai = new OpenAI({ baseURL: chat.env.OPENAI_BASE_URL ?? "", apiKey: "hoopish", maxRetries: 0 });
    const model = (await openai.models.list()).data[0]?.id ?? "";
    const { response } = await openai.chat.completions
      .create({ model, messages: [{ role: "user", content: "Tell me about applicant 42." }] })
      .withResponse();
    const [, call = "", index = ""] =
      /^"(call_[0-9a-f]{32})"; index=(\d+)$/.exec(response.headers.get("hoopish-receipt") ?? "") ?? [];
    expect(call).toBe(response.headers.get("hoopish-call"));

    const file = world.path("receipt.json");
    const got = await world.cli("scientist", ["audit", "receipt", call, "-o", file]);
    expect({ code: got.code, stderr: got.stderr }).toMatchObject({ code: 0 });
    for (const said of ["scientist@bank.example", "chat", model, "allow by rule scientists"]) {
      expect(got.stdout).toContain(said);
    }
    expect(await check(file)).toMatchObject({
      code: 0,
      report: {
        verified: true,
        origin: "gateway.bank.example/hoopish",
        index: Number(index),
        record: { call, type: "call.decided", verdict: "allow", operation: { model } },
      },
    });

    const answered = world.path("answered.json");
    const args = ["audit", "receipt", call, "--type", "call.answered", "-o", answered];
    expect((await world.cli("audit", args)).code).toBe(0);
    expect(await check(answered)).toMatchObject({ code: 0, report: { record: { status: 200, outcome: "complete" } } });
  });

  it("is given to the caller and to internal audit, and to nobody else", async () => {
    const answer = await fetch(`${chat.base}/v1/models`);
    const call = answer.headers.get("hoopish-call") ?? "";
    await world.signIn("contractor");
    const stolen = await world.cli("contractor", ["audit", "receipt", call, "--json"]);
    expect(stolen.code).toBe(1);
    expect(JSON.parse(stolen.stderr)).toMatchObject({ error: { code: "not_found" } });
  });

  it("is worth nothing once a byte of it is another", async () => {
    const answer = await fetch(`${chat.base}/v1/models`);
    const file = world.path("changed.json");
    const call = answer.headers.get("hoopish-call") ?? "";
    expect((await world.cli("scientist", ["audit", "receipt", call, "-o", file])).code).toBe(0);
    const good = readFileSync(file, "utf8");
    expect((await check(file)).code).toBe(0);
    for (const [from, to] of [
      ['\\"verdict\\":\\"allow\\"', '\\"verdict\\":\\"block\\"'],
      ["scientist@bank.example", "contractor@bank.example"],
      ["\\nindex ", "\\nindex 1"],
    ] as const) {
      expect(good).toContain(from);
      writeFileSync(file, good.replace(from, to));
      expect(await check(file)).toMatchObject({ code: 1, report: { verified: false, reason: "unproven" } });
    }
  });
});
