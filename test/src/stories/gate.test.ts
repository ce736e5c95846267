import { createHmac, randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, type Connected, World } from "../world/world.ts";

/** The gate: a call that waits for a human, one that is blocked, and people and rules that are taken away while it runs. */

const RULES = `
  - { name: scientists, connections: [chat, credit, raw], groups: [data-science, risk-officers], then: allow }
  - name: bulk-prediction
    connections: ["*"]
    when: call.rows > 100
    then: hold
    approval: { groups: [risk-officers], quorum: 1, wait: 8s, expires: 1m }
  - name: window
    connections: [chat]
    when: call.tokensRequested == 322
    then: hold
    approval: { groups: [risk-officers], wait: 8s, expires: 1m, scope: session, window: 1m, breakGlass: [data-science] }
  - { name: daily-rows, connections: [credit], when: call.rows == 7, then: block, rate: { rows: 14, per: 1d, by: user } }
  - { name: nine-a-day, connections: [credit], when: call.rows == 9, then: block, rate: { rows: 45, per: 1d, by: user } }
  - name: nines
    connections: [credit]
    when: call.rows == 9
    then: hold
    approval: { groups: [risk-officers], wait: 8s, expires: 1m, scope: session, window: 1m }
  - name: long-answers
    connections: [chat]
    when: call.tokensRequested == 321
    then: hold
    approval: { groups: [risk-officers], wait: 1s, expires: 1m }
  - { name: no-repository-admin, connections: ["*"], when: 'call.kind == "admin"', then: block, message: "Model repository changes go through release." }`;

let world: World;
let credit: Connected;
/** What the desk's webhook was told. */
const told: { readonly type: string; readonly data: { readonly approval: string; readonly user: string } }[] = [];
/** What a chat was sent: messages with buttons, and answers to who pressed one. */
const chat: { readonly path: string; readonly text: string }[] = [];
const SIGNING_SECRET = randomBytes(16).toString("hex");
const desk = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.url !== "/") chat.push({ path: request.url ?? "", text: Buffer.concat(chunks).toString() });
  else told.push(JSON.parse(Buffer.concat(chunks).toString()) as (typeof told)[number]);
  response.writeHead(204).end();
});
beforeAll(async () => {
  await new Promise<void>((resolve) => desk.listen(0, "127.0.0.1", resolve));
  const { port } = desk.address() as AddressInfo;
  const secret = `whsec_${randomBytes(24).toString("base64")}`;
  const people = "{ U0SCIENTIST: scientist@bank.example, U0RISK: risk1@bank.example, U0GONE: nobody@bank.example }";
  const notify = `notify:
  - { name: desk, url: "http://127.0.0.1:${port}/", secret: "${secret}" }
  - { name: slack, url: "http://127.0.0.1:${port}/hook", format: slack, interactive: { signingSecret: ${SIGNING_SECRET}, users: ${people} } }
`;
  world = await World.start({ rules: RULES, serverExtra: notify });
  for (const account of ["scientist", "risk1", "risk2", "audit"] as const) await world.signIn(account);
  credit = await world.connect("scientist", "credit", ["--reason", "Q3 validation", "--ticket", "CHG-1042"]);
}, 60_000);
afterAll(async () => {
  await world?.close();
  desk.closeAllConnections();
  desk.close();
});

const names = [
  "annual_income",
  "debt_to_income",
  "credit_utilization",
  "delinquencies_2y",
  "history_years",
  "loan_amount",
  "inquiries_6m",
  "employment_years",
];
const bulk = (rows: number, value = 1): string =>
  JSON.stringify({
    inputs: names.map((name) => ({ name, shape: [rows], datatype: "FP64", data: new Array(rows).fill(value) })),
  });
const infer = (body: string, base = credit.base, signal?: AbortSignal): Promise<Response> =>
  fetch(`${base}/v2/models/credit/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    ...(signal === undefined ? {} : { signal }),
  });

interface Request {
  readonly id: string;
  readonly user: string;
  readonly state: string;
  readonly operation: { readonly rows?: number };
  readonly may: { readonly decide: boolean };
}
async function waiting(account: Account): Promise<readonly Request[]> {
  const { stdout } = await world.cli(account, ["requests", "--json"]);
  return (JSON.parse(stdout) as { approvals: Request[] }).approvals;
}
async function oneWaiting(account: Account): Promise<Request> {
  const endMs = Date.now() + 5_000;
  for (;;) {
    const [request] = await waiting(account);
    if (request !== undefined) return request;
    if (Date.now() > endMs) throw new Error("nothing waits");
  }
}
const typesOf = async (call: string): Promise<string[]> => {
  const { stdout } = await world.cli("audit", ["audit", "show", call, "--json"]);
  const story = JSON.parse(stdout) as { records: { leaf: string }[] };
  return story.records.map(({ leaf }) => (JSON.parse(leaf) as { type: string }).type);
};

describe("a bulk prediction", () => {
  it("waits for a risk officer, goes on, and tells who agreed", async () => {
    const answer = infer(bulk(5_000));
    const request = await oneWaiting("risk1");
    expect(request).toMatchObject({
      user: "scientist@bank.example",
      operation: { rows: 5_000 },
      may: { decide: true },
    });
    const shown = await world.cli("risk1", ["requests", request.id]);
    expect(shown.stdout).toContain("CHG-1042");
    expect(shown.stdout).toContain("list of 5,000");
    const own = await world.cli("scientist", ["approve", request.id, "--reason", "mine"]);
    expect(own.code).toBe(5);
    const approved = await world.cli("risk1", ["approve", request.id, "--reason", "monthly run"]);
    expect(approved.code).toBe(0);
    const { status, headers } = await answer;
    expect(status).toBe(200);
    expect(headers.get("hoopish-approval")).toBe(request.id);
    const types = await typesOf(headers.get("hoopish-call") ?? "");
    expect(types).toEqual(["call.decided", "approval.requested", "approval.granted", "approval.used", "call.answered"]);
    const explained = await world.cli("audit", ["policy", "explain", headers.get("hoopish-call") ?? "", "--json"]);
    expect(JSON.parse(explained.stdout)).toMatchObject({
      decided: { verdict: "hold", rule: "bulk-prediction" },
      groups: { from: "token" },
      body: true,
      rules: [
        { name: "scientists", matched: true },
        { name: "bulk-prediction", matched: true, why: "call.rows > 100 is true" },
        { name: "daily-rows", matched: false },
        { name: "nine-a-day", matched: false },
        { name: "nines", matched: false },
        { name: "no-repository-admin", matched: false },
      ],
    });
    const others = await world.cli("risk1", ["policy", "explain", headers.get("hoopish-call") ?? ""]);
    expect(others.code).not.toBe(0);
    await until(async () => told.some(({ data }) => data.approval === request.id));
    expect(told.find(({ data }) => data.approval === request.id)).toMatchObject({
      type: "approval.requested",
      data: { user: "scientist@bank.example", ticket: "CHG-1042", operation: { rows: 5_000 } },
    });
    // Used: the same bytes need another one, and so do those of whoever approved.
    const gone = new AbortController();
    const again = infer(bulk(5_000), credit.base, gone.signal).catch(() => undefined);
    expect((await oneWaiting("risk1")).id).not.toBe(request.id);
    gone.abort();
    await again;
  });

  it("of the risk officer himself needs another risk officer", async () => {
    await until(async () => (await waiting("risk1")).length === 0);
    const his = await world.connect("risk1", "credit");
    const answer = infer(bulk(200), his.base);
    const request = await oneWaiting("risk2");
    expect((await world.cli("risk1", ["approve", request.id])).code).toBe(5);
    expect((await world.cli("risk2", ["approve", request.id])).code).toBe(0);
    expect((await answer).status).toBe(200);
    await his.program.stop("SIGINT");
  });

  it("that is denied is refused with the reason", async () => {
    const answer = infer(bulk(300));
    const request = await oneWaiting("risk1");
    expect((await world.cli("risk1", ["deny", request.id, "--reason", "no ticket for this"])).code).toBe(0);
    const refused = await answer;
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("no ticket for this");
  });

  it("of the OpenAI SDK is one request, whatever the SDK does by itself", async () => {
    await until(async () => (await waiting("risk1")).length === 0);
    const chat = await world.connect("scientist", "chat");
    const client = new OpenAI({ baseURL: `${chat.base}/v1`, apiKey: "unused", maxRetries: 3 });
    const ask = () =>
      client.chat.completions.create({
        model: "chat",
        max_tokens: 321,
        messages: [{ role: "user", content: "write 5 words" }],
      });
    const refused = await ask().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(OpenAI.PermissionDeniedError);
    expect(refused).toMatchObject({ status: 403, code: "approval_pending" });
    const requests = await waiting("risk1");
    expect(requests).toHaveLength(1);
    expect((await world.cli("risk1", ["approve", requests[0]?.id ?? ""])).code).toBe(0);
    expect((await ask()).choices[0]?.message.content).toBeTruthy();
    await chat.program.stop("SIGINT");
  });

  it("of an SDK that gives up and asks again is one request still", async () => {
    await until(async () => (await waiting("risk1")).length === 0);
    const chat = await world.connect("scientist", "chat");
    const client = new OpenAI({ baseURL: `${chat.base}/v1`, apiKey: "unused", maxRetries: 2, timeout: 400 });
    const ask = (one: OpenAI) =>
      one.chat.completions.create({
        model: "chat",
        max_tokens: 321,
        messages: [{ role: "user", content: "write 6 words" }],
      });
    await expect(ask(client)).rejects.toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
    // And once more by hand, by somebody who waits for the answer: from then on it is there until its time is over.
    const patient = client.withOptions({ timeout: 30_000, maxRetries: 0 });
    await expect(ask(patient)).rejects.toMatchObject({ code: "approval_pending" });
    const requests = await waiting("risk1");
    expect(requests).toHaveLength(1);
    expect((await world.cli("risk1", ["approve", requests[0]?.id ?? ""])).code).toBe(0);
    expect((await ask(patient)).choices[0]?.message.content).toBeTruthy();
    // Left for good: withdrawn.
    const gone = new AbortController();
    const left = infer(bulk(700), credit.base, gone.signal).catch(() => undefined);
    await oneWaiting("risk1");
    gone.abort();
    await left;
    await until(async () => (await waiting("risk1")).length === 0);
    await chat.program.stop("SIGINT");
  }, 30_000);

  it("may be decided in a chat by who is known there, and by nobody else", async () => {
    await until(async () => (await waiting("risk1")).length === 0);
    const answer = infer(bulk(350));
    const { id } = await oneWaiting("risk1");
    await until(async () => chat.some(({ path, text }) => path === "/hook" && text.includes(id)));
    const message = JSON.parse(chat.find(({ text }) => text.includes(id))?.text ?? "") as {
      blocks: { type: string }[];
    };
    expect(message.blocks.map(({ type }) => type)).toEqual(["section", "input", "actions"]);
    const seconds = Math.floor(Date.now() / 1_000);
    const { port } = desk.address() as AddressInfo;
    const press = async (user: string, action: string, reason?: string, at = seconds, secret = SIGNING_SECRET) => {
      const payload = {
        ...{ type: "block_actions", user: { id: user }, actions: [{ action_id: action, value: id }] },
        state: { values: { hoopish_reason: { hoopish_reason: { value: reason ?? null } } } },
        response_url: `http://127.0.0.1:${port}/answer-${user}`,
      };
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
      const signature = `v0=${createHmac("sha256", secret).update(`v0:${at}:${body}`).digest("hex")}`;
      const { status } = await fetch(`${world.serverUrl}/slack/slack/actions`, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "x-slack-request-timestamp": String(at),
          "x-slack-signature": signature,
        },
        body,
      });
      return status;
    };
    const said = async (user: string, words: string): Promise<void> =>
      until(async () => chat.some(({ path, text }) => path === `/answer-${user}` && text.includes(words)));
    expect(await press("U0RISK", "hoopish_approve", "old", seconds - 301)).toBe(401);
    expect(await press("U0RISK", "hoopish_approve", "forged", seconds, "x".repeat(32))).toBe(401);
    expect(await press("U0STRANGER", "hoopish_approve")).toBe(200);
    await said("U0STRANGER", "not known");
    expect(await press("constructor", "hoopish_approve")).toBe(200);
    await said("constructor", "not known");
    expect(await press("U0GONE", "hoopish_approve")).toBe(200);
    await said("U0GONE", "has not signed in lately");
    expect(await press("U0SCIENTIST", "hoopish_approve")).toBe(200);
    await said("U0SCIENTIST", "their own");
    expect(await press("U0RISK", "hoopish_deny")).toBe(200);
    await said("U0RISK", "needs a reason");
    expect(await waiting("risk1")).toHaveLength(1);
    expect(await press("U0RISK", "hoopish_approve", "seen in the chat")).toBe(200);
    const passed = await answer;
    expect(passed.status).toBe(200);
    await said("U0RISK", "Approved by risk1@bank.example");
    const shown = await world.cli("audit", ["audit", "show", passed.headers.get("hoopish-call") ?? "", "--json"]);
    expect(shown.stdout).toContain('\\"via\\":\\"slack\\"');
    expect(shown.stdout).toContain("seen in the chat");
  });

  it("opens a window for its session, or passes behind broken glass and owes a review", async () => {
    const his = await world.connect("scientist", "chat");
    const client = new OpenAI({ baseURL: `${his.base}/v1`, apiKey: "unused", maxRetries: 0 });
    const ask = (words: number) =>
      client.chat.completions.create({
        model: "chat",
        max_tokens: 322,
        messages: [{ role: "user", content: `write ${words} words` }],
      });
    const first = ask(3);
    const request = await oneWaiting("risk1");
    expect((await world.cli("risk1", ["approve", request.id, "--reason", "this hour"])).code).toBe(0);
    expect((await first).choices).toHaveLength(1);
    // Other bytes, the same session: within the window nobody is asked again.
    expect((await ask(4)).choices).toHaveLength(1);
    await his.program.stop("SIGINT");
    const other = await world.connect("scientist", "chat");
    const outside = new OpenAI({
      baseURL: `${other.base}/v1`,
      apiKey: "unused",
      maxRetries: 0,
    }).chat.completions.create({
      ...{ model: "chat", max_tokens: 322, messages: [{ role: "user", content: "write 4 words" }] },
    });
    const again = await oneWaiting("scientist");
    expect(again.id).not.toBe(request.id);
    const glass = ["approve", again.id, "--break-glass"];
    expect((await world.cli("scientist", glass)).code).not.toBe(0);
    expect((await world.cli("scientist", [...glass, "--reason", "INC-77, nobody answers"])).code).toBe(0);
    expect((await outside).choices).toHaveLength(1);
    await until(async () =>
      told.some(({ type, data }) => type === "approval.broke_glass" && data.approval === again.id),
    );
    const owed = async () => (await world.cli("risk1", ["requests", "--reviews", "--json"])).stdout;
    expect(await owed()).toContain(again.id);
    expect((await world.cli("scientist", ["review", again.id, "--reason", "fine"])).code).toBe(5);
    expect((await world.cli("risk1", ["review", again.id, "--reason", "INC-77 was real"])).code).toBe(0);
    expect(await owed()).not.toContain(again.id);
    await other.program.stop("SIGINT");
  });

  it("within a window gets no more than the budget, however many come at once", async () => {
    const first = infer(bulk(9, 1));
    const { id } = await oneWaiting("risk1");
    expect((await world.cli("risk1", ["approve", id])).code).toBe(0);
    expect((await first).status).toBe(200);
    const rest = await Promise.all(Array.from({ length: 12 }, (_, value) => infer(bulk(9, value + 2))));
    const statuses = rest.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(4);
    expect(statuses.filter((status) => status === 429)).toHaveLength(8);
  }, 30_000);

  it("within a budget is counted, and a server that was killed has forgotten nothing", async () => {
    for (const value of [1, 2]) expect((await infer(bulk(7, value))).status).toBe(200);
    await world.server.stop("SIGKILL");
    await world.startServer();
    credit = await world.connect("scientist", "credit", ["--reason", "Q3 validation"]);
    await until(async () => (await world.cli("scientist", ["connections"])).stdout.includes("online"));
    const spent = await infer(bulk(7, 3));
    expect(spent.status).toBe(429);
    expect(await spent.text()).toContain("daily-rows");
  }, 30_000);

  it("that nobody decides in time may come again, once approved, exactly once, also after a restart", async () => {
    const pending = await infer(bulk(400));
    expect(pending.status).toBe(403);
    expect(pending.headers.get("retry-after")).not.toBeNull();
    const id = pending.headers.get("hoopish-approval") ?? "";
    expect((await world.cli("risk1", ["approve", id])).code).toBe(0);
    const other = new AbortController();
    const changed = infer(bulk(400, 2), credit.base, other.signal).catch(() => undefined);
    expect((await oneWaiting("risk1")).id).not.toBe(id);
    other.abort();
    await changed;
    await world.server.stop("SIGKILL");
    await world.startServer();
    credit = await world.connect("scientist", "credit", ["--reason", "Q3 validation"]);
    await until(async () => (await world.cli("scientist", ["connections"])).stdout.includes("online"));
    const passed = await infer(bulk(400));
    expect(passed.headers.get("hoopish-approval")).toBe(id);
    expect(passed.status).toBe(200);
  }, 60_000);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 8_000;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error("it did not come to pass");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it("a repository unload is blocked with the rule's message, in OIP's shape", async () => {
  for (const path of ["/v2/repository/models/credit/unload", "/V2/Repository/models/credit/unload"]) {
    const refused = await fetch(`${credit.base}${path}`, { method: "POST" });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toEqual({ error: "hoopish: Model repository changes go through release." });
  }
  const odd = await fetch(`${credit.base}/v2/models/%2e%2e%2frepository/index`, { method: "POST" });
  expect(odd.status).toBe(400);
});

it("a changed rule file comes into force, and a broken one does not", async () => {
  const file = world.path("server.yaml");
  const good = readFileSync(file, "utf8");
  expect((await infer(bulk(1))).status).toBe(200);
  appendFileSync(file, "\nrules: [");
  await until(async () => (await records("policy.refused")) > 0);
  expect((await infer(bulk(1))).status).toBe(200);
  writeFileSync(file, good.replace("call.rows > 100", "call.rows > 0").replace("wait: 8s", "wait: 0s"));
  await until(async () => (await infer(bulk(1))).status === 403);
  writeFileSync(file, good);
  await until(async () => (await infer(bulk(1))).status === 200);
});

interface Leaf {
  readonly time: string;
  readonly outcome?: string;
  readonly code?: string;
}
async function leaves(type: string): Promise<readonly Leaf[]> {
  const { stdout } = await world.cli("audit", ["audit", "search", "--type", type, "--json"]);
  const { records: found } = JSON.parse(stdout) as { records: { leaf: string }[] };
  return found.map(({ leaf }) => JSON.parse(leaf) as Leaf);
}
const records = async (type: string): Promise<number> => (await leaves(type)).length;

it("a lock ends a chat in the middle, within a second, and keeps him out until it is lifted", async () => {
  const chat = await world.connect("scientist", "chat");
  const openai = new OpenAI({
    baseURL: chat.env.OPENAI_BASE_URL ?? "",
    apiKey: "hoopish",
    maxRetries: 0,
    defaultHeaders: { "x-test-token-delay": "20" },
  });
  const [model] = (await openai.models.list()).data;
  const stream = await openai.chat.completions.create({
    model: model?.id ?? "",
    stream: true,
    messages: [{ role: "user", content: "write 5000 words" }],
  });
  let lockedAtMs = 0;
  let events = 0;
  const read = async (): Promise<void> => {
    for await (const _ of stream) {
      events += 1;
      if (events === 3) {
        lockedAtMs = Date.now();
        void world.cli("platform", ["lock", "Scientist@Bank.Example", "--reason", "laptop lost"]);
      }
    }
  };
  await read().catch(() => undefined);
  expect(events).toBeGreaterThanOrEqual(3);
  await until(async () => (await records("lock.set")) === 1);
  const [set] = await leaves("lock.set");
  const cut = (await leaves("call.answered")).find(({ outcome }) => outcome === "revoked");
  expect(lockedAtMs).toBeGreaterThan(0);
  expect(cut?.code).toBe("access_denied");
  expect(Math.abs(Date.parse(cut?.time ?? "") - Date.parse(set?.time ?? ""))).toBeLessThan(1_000);
  const refused = await world.cli("scientist", ["connect", "chat", "--port", "0", "--", "true"]);
  expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining("locked") });
  const lifted = await world.cli("platform", ["unlock", "scientist@bank.example", "--reason", "found again"]);
  expect(lifted.code).toBe(0);
  const again = await world.connect("scientist", "chat");
  expect(again.url).toBeTruthy();
}, 30_000);

it("the access report tells who could, who did, who agreed and who was locked out", async () => {
  const { stdout } = await world.cli("audit", ["audit", "report", "access", "--since", "1h", "--json"]);
  const { rows } = JSON.parse(stdout) as { rows: Record<string, unknown>[] };
  const find = (what: string, more: object = {}): unknown =>
    rows.find((row) => row.what === what && Object.entries(more).every(([name, value]) => row[name] === value));
  expect(find("grant", { rule: "scientists" })).toMatchObject({ state: "used", count: 2 });
  expect(find("use", { user: "scientist@bank.example", rule: "bulk-prediction" })).toMatchObject({ account: "human" });
  expect(find("approval", { state: "used" })).toMatchObject({ reason: "Q3 validation", by: "risk1@bank.example" });
  expect(find("approval", { state: "denied" })).toMatchObject({
    detail: expect.stringContaining("risk1@bank.example said no: no ticket for this"),
  });
  expect(find("lock")).toMatchObject({
    user: "Scientist@Bank.Example",
    reason: "laptop lost",
    state: "lifted",
    last: expect.any(String),
  });
  const csv = await world.cli("audit", ["audit", "report", "access", "--since", "1h", "--format", "csv"]);
  expect(csv.stdout.split(/\r?\n/)[0]).toMatch(
    /^what,user,issuer,account,connection,rule,count,first,last,state,by,reason,id,detail$/,
  );
  expect((await world.cli("scientist", ["audit", "report", "access", "--since", "1h"])).code).toBe(5);
});

it("a stricter file says beforehand which recorded calls it would have stopped, and its tests run", async () => {
  const good = readFileSync(world.path("server.yaml"), "utf8");
  const stricter = world.path("stricter.yaml");
  const tests = `tests:
  - { as: { user: a@bank.example, groups: [data-science] }, connection: credit, call: { kind: infer, rows: 1 }, expect: hold, rule: bulk-prediction }
  - { as: { user: a@bank.example, groups: [staff] }, connection: credit, call: { kind: infer, rows: 1 }, expect: allow }
`;
  writeFileSync(stricter, `${good.replace("call.rows > 100", "call.rows > 0")}${tests}`);
  const simulated = await world.cli("audit", ["policy", "simulate", stricter, "--since", "1h", "--json"]);
  expect(simulated).toMatchObject({ code: 0 });
  const { changed, calls, same } = JSON.parse(simulated.stdout) as {
    calls: number;
    same: number;
    changed: { rows?: number; was: string; would: string }[];
  };
  expect(changed.length).toBeGreaterThan(0);
  expect(calls).toBe(same + changed.length);
  for (const one of changed) {
    // Nines have a budget of their own, which their windows had used up.
    if (one.rows === 9) continue;
    expect(one).toMatchObject({ was: "allow (scientists)", would: "hold (bulk-prediction)" });
  }
  const tested = await world.cli("audit", ["policy", "test", stricter]);
  expect(tested.code).toBe(1);
  expect(tested.stdout).toContain("tests[1]: expected allow, got block");
  expect(tested.stdout).toContain("1 passed, 1 failed");
  expect(await world.cli("audit", ["policy", "check", stricter])).toMatchObject({ code: 0 });
  const nowhere = await world.cli("audit", ["policy", "check", `${stricter}.not-there`, "--json"]);
  expect(nowhere.code).toBe(78);
});
