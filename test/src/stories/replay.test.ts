import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Account, type Connected, World } from "../world/world.ts";

let world: World;
let chat: Connected;
let asked: string;
let answered: string;

const question = [{ role: "user" as const, content: "Tell me about applicant 42." }];

beforeAll(async () => {
  world = await World.start({
    rules: `
  - { name: scientists, connections: [chat], groups: [data-science], then: allow }
  - { name: too-wide, connections: [chat], groups: [internal-audit], then: allow }`,
  });
  for (const account of ["scientist", "audit", "contractor"] as const) await world.signIn(account);
  chat = await world.connect("scientist", "chat", ["--reason", "monthly check"]);
  const openai = new OpenAI({ baseURL: chat.env.OPENAI_BASE_URL ?? "", apiKey: "hoopish", maxRetries: 0 });
  const model = (await openai.models.list()).data[0]?.id ?? "";
  const stream = await openai.chat.completions.create({ model, messages: question, stream: true }).withResponse();
  answered = "";
  for await (const event of stream.data) answered += event.choices[0]?.delta.content ?? "";
  const whole = await openai.chat.completions.create({ model, messages: question }).withResponse();
  asked = whole.response.headers.get("hoopish-call") ?? "";
});
afterAll(() => world?.close());

const replay = (account: Account, ...args: string[]) => world.cli(account, ["audit", "replay", ...args]);
const replays = async (): Promise<readonly Record<string, unknown>[]> =>
  (await exportLog(world)).records.filter(({ type }) => type === "audit.replayed");

describe("a recorded session", () => {
  it("is played to an auditor: who, which model, the question, the answer as it streamed", async () => {
    const { code, stdout } = await replay("audit", chat.session);
    expect(code).toBe(0);
    expect(stdout).toContain(`${chat.session} opened `);
    expect(stdout).toContain("scientist@bank.example on chat");
    expect(stdout).toContain("monthly check");
    expect(stdout).toContain('"content": "Tell me about applicant 42."');
    expect(stdout).toContain(`  │ ${answered.split("\n")[0]}`);
    expect(stdout.match(/200 complete/g)).toHaveLength(3);
    expect((await replays()).at(-1)).toMatchObject({ of: chat.session, actor: { name: "audit@bank.example" } });
  });

  it("is events with --json, and every byte that was delivered is in them", async () => {
    const { stdout } = await replay("audit", chat.session, "--json");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.at(-1)).toEqual({ event: "end", calls: 3 });
    const pieces = events.filter(({ call, field }) => call === asked && field === "delivered");
    const body = Buffer.concat(pieces.map(({ base64 }) => Buffer.from(String(base64), "base64")));
    expect((await exportLog(world)).payloads.get(`${asked} delivered`)?.equals(body)).toBe(true);
  });

  it("is not for everybody, and who was refused leaves no record of a replay", async () => {
    const before = (await replays()).length;
    expect((await replay("scientist", chat.session)).code).toBe(5);
    expect((await replay("contractor", chat.session)).code).toBe(5);
    expect((await replay("audit", `ses_${"0".repeat(32)}`)).code).toBe(1);
    expect(await replays()).toHaveLength(before);
  });
});

describe("a recorded request", () => {
  it("is sent again through policy by who may, in a session of theirs, and the log says so", async () => {
    const { code, stdout, stderr } = await replay("scientist", "--reissue", asked, "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const done = JSON.parse(stdout) as { again: string; session: string; body: { differences: { path: string }[] } };
    expect(done).toMatchObject({ of: asked, verdict: "allow", status: { was: 200, now: 200 }, body: { kind: "json" } });
    // The model is deterministic: what is different is what names the answer.
    expect(done.body.differences.map(({ path }) => path)).toContain("$.id");
    expect(done.body.differences.map(({ path }) => path).filter((path) => path.includes("message"))).toEqual([]);
    const { records, payloads } = await exportLog(world);
    const again = records.find(({ type, call }) => type === "call.decided" && call === done.again);
    expect(again).toMatchObject({ verdict: "allow", rule: "scientists", session: done.session });
    expect(done.session).not.toBe(chat.session);
    expect(payloads.get(`${done.again} request`)?.equals(payloads.get(`${asked} request`) ?? Buffer.alloc(0))).toBe(
      true,
    );
    const opened = records.find(({ type, session }) => type === "session.open" && session === done.session);
    expect(opened).toMatchObject({ reason: `reissue of ${asked}` });
    expect(records.some(({ type, session }) => type === "session.close" && session === done.session)).toBe(true);
    expect((await replays()).at(-1)).toMatchObject({
      of: asked,
      again: done.again,
      actor: { name: "scientist@bank.example" },
    });
  });

  it("is not sent by an auditor, whatever the rules say: auditors never connect", async () => {
    const before = await exportLog(world);
    const { code, stderr } = await replay("audit", "--reissue", asked);
    expect(code).toBe(5);
    expect(stderr).toContain("may not use");
    const after = await exportLog(world);
    const calls = (log: typeof before): number => log.records.filter(({ type }) => type === "call.decided").length;
    expect(calls(after)).toBe(calls(before));
  });

  it("is not there for others", async () => {
    const { code, stderr } = await replay("contractor", "--reissue", asked);
    expect([code, stderr]).toEqual([1, expect.stringContaining("no such call")]);
  });

  it("cannot be claimed to have been sent again when it was not", async () => {
    const before = (await replays()).length;
    const { stdout } = await world.cli("scientist", ["audit", "list", "--since", "1h", "--json"]);
    const { calls } = JSON.parse(stdout) as { calls: { id: string; path: string }[] };
    const other = calls.find(({ path }) => path === "/v1/models")?.id ?? "";
    const token = await world.idp.mintAccessToken("scientist@bank.example");
    const claim = (again: string): Promise<number> =>
      fetch(`${world.serverUrl}/api/v1/audit/calls/${asked}/reissues`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({ again }),
      }).then(({ status }) => status);
    expect(await claim(asked)).toBe(400);
    expect(await claim(other)).toBe(400);
    expect(await claim(`call_${"0".repeat(32)}`)).toBe(404);
    expect(await claim("nonsense")).toBe(400);
    // Newer, theirs, and another request.
    const again = await fetch(`${chat.base}/v1/models`);
    expect(await claim(again.headers.get("hoopish-call") ?? "")).toBe(409);
    expect(await replays()).toHaveLength(before);
  });
});
