import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog, recordOf } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

let world: World;
let chat: Connected;
let credit: Connected;
let openai: OpenAI;
/** Everything that a client of any kind was given. */
const answers: string[] = [];

beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  chat = await world.connect("scientist", "chat");
  credit = await world.connect("scientist", "credit", ["--reason", "monthly check", "--ticket", "MRM-7"]);
  openai = new OpenAI({
    baseURL: chat.env.OPENAI_BASE_URL ?? "",
    apiKey: chat.env.OPENAI_API_KEY ?? "hoopish",
    maxRetries: 0,
  });
});
afterAll(() => world?.close());

const question = [{ role: "user" as const, content: "Tell me about applicant 42." }];

describe("clients work through hoopish connect with nothing changed but the base URL", () => {
  it("openai SDK: models, chat, stream, responses, embeddings", async () => {
    const models = await openai.models.list();
    const model = models.data[0]?.id ?? "";
    expect(model).not.toBe("");
    const whole = await openai.chat.completions.create({ model, messages: question });
    expect(whole.choices[0]?.message.content).toContain("@");
    let text = "";
    let events = 0;
    for await (const event of await openai.chat.completions.create({ model, messages: question, stream: true })) {
      text += event.choices[0]?.delta.content ?? "";
      events += 1;
    }
    expect(events).toBeGreaterThan(5);
    expect(text).toBe(whole.choices[0]?.message.content);
    const response = await openai.responses.create({ model, input: "Tell me about applicant 42." });
    expect(response.output_text).toContain("@");
    const streamed = await openai.responses.create({ model, input: "Tell me about applicant 42.", stream: true });
    const types: string[] = [];
    for await (const event of streamed) types.push(event.type);
    expect(types.at(0)).toBe("response.created");
    expect(types.at(-1)).toBe("response.completed");
    const embedding = await openai.embeddings.create({ model, input: ["a", "b"] });
    expect(embedding.data.map((item) => item.embedding.length)).toEqual([1536, 1536]);
    answers.push(JSON.stringify(whole), text, JSON.stringify(response));
  });

  it("curl", async () => {
    const body = JSON.stringify({ model: "m", messages: question });
    const { stdout: out } = await promisify(execFile)("curl", [
      "-sS",
      "-i",
      `${chat.base}/v1/chat/completions`,
      "-H",
      "content-type: application/json",
      "-d",
      body,
    ]);
    expect(out).toContain("HTTP/1.1 200");
    expect(out).toMatch(/hoopish-call: call_[0-9a-f]{32}/);
    answers.push(out);
  });

  it("an Open Inference Protocol client", async () => {
    const metadata = await fetch(`${credit.base}/v2/models/credit`);
    expect(metadata.status).toBe(200);
    const rows = [52_000, 0.41, 0.62, 1, 9, 18_000, 2, 4, 98_000, 0.1, 0.05, 0, 20, 9_000, 0, 12];
    const answer = await fetch(`${credit.base}/v2/models/credit/infer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "42", inputs: [{ name: "rows", shape: [2, 8], datatype: "FP64", data: rows }] }),
    });
    const text = await answer.text();
    expect(answer.status).toBe(200);
    const output = JSON.parse(text) as { id: string; outputs: { name: string; data: unknown[] }[] };
    expect(output.id).toBe("42");
    expect(output.outputs.find(({ name }) => name === "probability_of_default")?.data).toHaveLength(2);
    answers.push(text);
  });

  it("a command with the variables set, ending with its own exit code", async () => {
    const script =
      'fetch(process.env.OPENAI_BASE_URL + "/models").then((r) => { console.log("status", r.status); process.exit(r.ok ? 17 : 1); })';
    const run = await world.cli("scientist", ["connect", "chat", "--port", "0", "--", process.execPath, "-e", script]);
    expect(run.stdout).toContain("status 200");
    expect(run.code).toBe(17);
  });
});

describe("what internal audit sees", () => {
  it("is who, when, which model, request and answer of each call", async () => {
    const model = (await openai.models.list()).data[0]?.id ?? "";
    const { data, response } = await openai.chat.completions.create({ model, messages: question }).withResponse();
    const call = response.headers.get("hoopish-call");
    const exported = await exportLog(world);
    const decided = recordOf(exported, call, "call.decided");
    expect(decided).toMatchObject({
      actor: { name: "scientist@bank.example", kind: "human" },
      connection: "chat",
      method: "POST",
      path: "/v1/chat/completions",
      operation: { kind: "chat", model },
      verdict: "allow",
      rule: "scientists",
      session: chat.session,
    });
    expect(Math.abs(Date.parse(String(decided.time)) - Date.now())).toBeLessThan(30_000);
    const answered = recordOf(exported, call, "call.answered");
    expect(answered).toMatchObject({ status: 200, outcome: "complete" });
    expect(JSON.parse(exported.payloads.get(`${call} request`)?.toString() ?? "")).toMatchObject({
      model,
      messages: question,
    });
    expect(JSON.parse(exported.payloads.get(`${call} delivered`)?.toString() ?? "")).toEqual(data);
    // One call, one decision, one answer, for everything so far; indexes without a gap.
    const calls = new Set(exported.records.filter(({ type }) => type === "call.decided").map((record) => record.call));
    for (const id of calls) recordOf(exported, id, "call.answered");
    expect(exported.indexes).toEqual(exported.indexes.map((_, i) => (exported.indexes[0] ?? 0) + i));
    const opened = exported.records.find(
      (record) => record.type === "session.open" && record.session === credit.session,
    );
    expect(opened).toMatchObject({ reason: "monthly check", ticket: "MRM-7" });
  });

  it("is listed, shown and exported as CSV", async () => {
    const listed = await world.cli("audit", ["audit", "list", "--since", "1h", "--connection", "credit", "--json"]);
    expect(listed.code).toBe(0);
    const { calls } = JSON.parse(listed.stdout) as { calls: { id: string; kind: string; rows?: number }[] };
    const infer = calls.find(({ kind }) => kind === "infer");
    expect(infer).toMatchObject({ rows: 2 });
    const shown = await world.cli("audit", ["audit", "show", infer?.id ?? ""]);
    expect(shown.stdout).toContain("probability_of_default");
    const csv = await world.cli("audit", ["audit", "export", "--since", "1h", "--format", "csv"]);
    expect(csv.code).toBe(0);
    expect(csv.stdout.split("\n").filter((line) => line.includes("call_")).length).toBeGreaterThan(5);
  });

  it("goes to a SIEM as OCSF events", async () => {
    const { code, stdout } = await world.cli("audit", ["audit", "export", "--since", "1h", "--format", "ocsf"]);
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as OcsfEvent);
    for (const { type_uid, class_uid, activity_id } of events) expect(type_uid).toBe(class_uid * 100 + activity_id);
    const chats = events.filter(({ class_uid, api }) => class_uid === 6003 && api?.operation === "chat");
    expect(chats.length).toBeGreaterThan(2);
    for (const chat of chats) {
      expect(chat).toMatchObject({
        activity_name: "Inference",
        action_id: 1,
        status_id: 1,
        http_response: { code: 200 },
      });
      expect(chat).toMatchObject({ actor: { user: { name: "scientist@bank.example" } } });
      expect(chat.metadata).toMatchObject({ version: "1.8.0", log_name: "gateway.bank.example/hoopish" });
    }
    // Started, signed in, opened a session: the whole log, not the calls alone.
    for (const type of [600203, 300201, 300301, 300406]) expect(events.map(({ type_uid }) => type_uid)).toContain(type);
  });

  it("is not for everybody, and auditors cannot connect", async () => {
    expect((await world.cli("scientist", ["audit", "export", "--since", "1h"])).code).toBe(5);
    const own = await world.cli("scientist", ["audit", "list", "--since", "1h", "--json"]);
    const { calls } = JSON.parse(own.stdout) as { calls: { user: string }[] };
    expect(new Set(calls.map(({ user }) => user))).toEqual(new Set(["scientist@bank.example"]));
    expect((await world.cli("audit", ["connect", "chat", "--port", "0"])).code).toBe(5);
  });
});

describe("the model's credential", () => {
  it("is nowhere but at the model and in the agent's memory", async () => {
    await chat.program.stop("SIGINT");
    await credit.program.stop("SIGINT");
    const everything = [world.server, world.agent, chat.program, credit.program].flatMap(({ name, stdout, stderr }) => [
      { where: `${name} stdout`, text: stdout },
      { where: `${name} stderr`, text: stderr },
    ]);
    everything.push(...answers.map((text) => ({ where: "an answer", text })));
    for (const file of filesBelow(world.dir)) everything.push({ where: file, text: readFileSync(file, "latin1") });
    expect(everything.length).toBeGreaterThan(15);
    const secret = world.credential;
    const forms = [
      secret,
      Buffer.from(secret).toString("base64").replace(/=+$/, ""),
      Buffer.from(secret).toString("hex"),
      encodeURIComponent(secret),
    ];
    const found = everything.filter(({ text }) => forms.some((form) => text.includes(form))).map(({ where }) => where);
    expect(found).toEqual([]);
    // The search itself works: what must be found is found.
    expect(everything.some(({ text }) => text.includes("applicant 42"))).toBe(true);
  });
});

interface OcsfEvent {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly type_uid: number;
  readonly api?: { readonly operation: string };
  readonly metadata: Readonly<Record<string, unknown>>;
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile());
}
