import { readFileSync, writeFileSync } from "node:fs";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

/** Masking, through the whole way: what clients get, what the model is asked, what the log tells. */

const DETECT =
  "[US_SSN, CREDIT_CARD, EMAIL, PHONE, IBAN, US_BANK_ACCOUNT, ABA_ROUTING, DATE_OF_BIRTH, STREET_ADDRESS, PERSON]";
const EXTRA = `masking:
  - { name: answers, connections: [chat, raw, small], direction: response, detect: ${DETECT}, action: redact }
  - { name: names, connections: [raw], direction: response, fields: ["$.applicant.accountNumber"], action: { mask: { keepLast: 4 } } }
  - { name: no-cards, connections: [chat], direction: request, detect: [CREDIT_CARD], action: block }
  - { name: aliases, connections: [chat], direction: request, detect: [US_SSN], action: pseudonym }
  - { name: staff, connections: [chat], direction: request, patterns: [{ type: STAFF_ID, regex: "EMP-[0-9]{6}", maxLength: 10 }], action: redact }
`;

const CONNECTIONS = `
  - { name: chat, agent: edge-1, protocol: http, api: openai }
  - { name: raw, agent: edge-1, protocol: http, api: generic }
  - { name: small, agent: edge-1, protocol: http, api: generic, uninspectable: allow }`;
const RULES = `
  - { name: scientists, connections: [chat, raw, small], groups: [data-science], then: allow }
  - { name: no-lists, connections: [chat], when: '"EMAIL" in findings && findings["EMAIL"] >= 2', then: block, message: "No lists of people." }`;

let world: World;
let chat: Connected;
let raw: Connected;
let openai: OpenAI;
/** Everything that belongs to applicant 42, as the model server tells it. */
let person: Record<string, string>;

beforeAll(async () => {
  world = await World.start({ serverExtra: EXTRA, rules: RULES, connections: CONNECTIONS });
  await world.signIn("scientist");
  await world.signIn("audit");
  chat = await world.connect("scientist", "chat");
  raw = await world.connect("scientist", "raw");
  openai = new OpenAI({ baseURL: `${chat.base}/v1`, apiKey: "unused", maxRetries: 0 });
  const answer = await fetch(`${world.modelUrl}/applicants/42`, {
    headers: { authorization: `Bearer ${world.credential}` },
  });
  const { applicant } = (await answer.json()) as { applicant: Record<string, string> };
  const { ssn = "", email = "", phone = "", card = "", iban = "", accountNumber = "", routingNumber = "" } = applicant;
  person = { ssn, email, phone, card: card.replace(/(.{4})(?=.)/g, "$1 "), iban, accountNumber, routingNumber };
}, 60_000);
afterAll(() => world?.close());

const question = [{ role: "user" as const, content: "Tell me about applicant 42." }];
const leaks = (text: string): string[] => Object.values(person).filter((value) => text.includes(value));

/** The model server answers with exactly this. */
const say = (type: string, pieces: readonly (string | Buffer)[], base = raw.base): Promise<Response> =>
  fetch(`${base}/test/say`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type, pieces: pieces.map((piece) => Buffer.from(piece).toString("base64")) }),
  });

describe("an answer", () => {
  it("arrives token by token with what was masked in its place, and the log has what the client got", async () => {
    const whole = await openai.chat.completions.create({ model: "m", messages: question });
    const expected = whole.choices[0]?.message.content ?? "";
    expect(leaks(expected)).toEqual([]);
    expect(expected).toContain("social security number is [US_SSN]; reach them at [EMAIL] or by phone at [PHONE]");
    expect(expected).toContain("card [CREDIT_CARD], IBAN [IBAN]");
    expect(expected).toContain("account number [US_BANK_ACCOUNT] with routing number [ABA_ROUTING]");

    const { data: stream, response } = await openai.chat.completions
      .create({ model: "m", messages: question, stream: true, n: 2 })
      .withResponse();
    const texts = ["", ""];
    let pieces = 0;
    for await (const event of stream) {
      for (const { index, delta } of event.choices) {
        if (delta.content) pieces += 1;
        texts[index] += delta.content ?? "";
      }
    }
    expect(texts).toEqual([expected, expected]);
    expect(pieces).toBeGreaterThan(20);

    const { records, payloads } = await exportLog(world);
    const call = response.headers.get("hoopish-call") ?? "";
    const delivered = payloads.get(`${call} delivered`)?.toString() ?? "";
    expect(delivered).toContain("[US_SSN]");
    expect(leaks(delivered)).toEqual([]);
    const answered = records.find((one) => one.type === "call.answered" && one.call === call);
    expect(answered?.masked).toMatchObject({ US_SSN: 2, CREDIT_CARD: 2, IBAN: 2, EMAIL: 2 });
    expect(answered?.masked_digests).toHaveLength(Object.keys(answered?.masked as object).length);
    expect(leaks(JSON.stringify(records))).toEqual([]);
  });

  it("of the Responses API is masked in its pieces and in its whole", async () => {
    const whole = await openai.responses.create({ model: "m", input: "Tell me about applicant 42." });
    const stream = await openai.responses.create({ model: "m", input: "Tell me about applicant 42.", stream: true });
    let text = "";
    let done = "";
    const types: string[] = [];
    for await (const event of stream) {
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.output_text.done") done = event.text;
    }
    expect(types.at(-1)).toBe("response.completed");
    expect(text).toBe(whole.output_text);
    expect(done).toBe(whole.output_text);
    expect(leaks(text)).toEqual([]);
  });

  it("in JSON is masked where it stands, by what it is and by where it is", async () => {
    const answer = await fetch(`${raw.base}/applicants/42`);
    const text = await answer.text();
    expect(leaks(text)).toEqual([]);
    const { applicant } = JSON.parse(text) as { applicant: Record<string, unknown> };
    expect(applicant).toMatchObject({
      number: 42,
      ssn: "[US_SSN]",
      email: "[EMAIL]",
      card: "[CREDIT_CARD]",
      routingNumber: "[ABA_ROUTING]",
      name: "[PERSON]",
    });
    expect(applicant.accountNumber).toMatch(/^\*{6}\d{4}$/);
    expect(applicant.features).toBeDefined();
    const length = answer.headers.get("content-length");
    if (length !== null) expect(Number(length)).toBe(Buffer.byteLength(text));
  });

  it("that cannot be looked into is refused, and the log says why", async () => {
    const refused = await say("application/octet-stream", ["abc"]);
    expect(refused.status).toBe(502);
    expect(await refused.text()).toContain("cannot be looked into");
    const { records } = await exportLog(world);
    const call = refused.headers.get("hoopish-call");
    expect(records.find((one) => one.type === "call.answered" && one.call === call)).toMatchObject({
      outcome: "blocked",
      code: "response_uninspectable",
    });
  });

  it.each([
    [
      "JSON that is called a text",
      "text/plain",
      ['{"a":"4', "11\\u0031 1111 1111 ", '1111"}'],
      '{"a":"[CREDIT_CARD]"}',
    ],
    ["a text", "text/plain", ["my ssn is 123-4", "5-67", "89, ok"], "my ssn is [US_SSN], ok"],
    [
      "events with CRLF, comments and data in two lines",
      "text/event-stream",
      [
        ": 4111 1111",
        ' 1111 1111\r\ndata: {"choices":[{"index":0,\r\n',
        'data: "delta":{"content":"123-45-"}}]}\r',
        "\n\r\n",
      ],
      ': [CREDIT_CARD]\r\ndata: {"choices":[{"index":0,\r\ndata: "delta":{"content":""}}]}\r\n\r\n' +
        'data: {"choices":[{"index":0,"delta":{"content":"123-45-"},"finish_reason":null}]}\r\n\r\n',
    ],
    [
      "Ollama's lines",
      "application/x-ndjson",
      [
        '{"model":"m","response":"ssn 123-","done":false}\n{"model":"m","resp',
        'onse":"45-6789","done":false}\n{"model":"m","response":"","done":true}\n',
      ],
      '{"model":"m","response":"ssn ","done":false}\n{"model":"m","response":"","done":false}\n' +
        '{"model":"m","response":"[US_SSN]","done":true}\n',
    ],
  ])("that is %s", async (_, type, pieces, expected) => {
    expect(await (await say(type, pieces)).text()).toBe(expected);
  });

  it.each([
    ["is no JSON", "application/json", ["{'ssn': '123-45-6789'}"]],
    ["is no UTF-8", "text/plain", [Buffer.from([0x31, 0xff, 0xfe])]],
    ["is UTF-16", "text/plain; charset=utf-16le", ["1\u00002\u0000"]],
    ["is an image", "image/png", ["x"]],
    ["is binary behind JSON's name", "application/json", [Buffer.from([0, 1, 2])]],
    ["breaks off", "application/json", ['{"a":"123-45-6789"']],
  ])("that %s is not given as if it were whole", async (_, type, pieces) => {
    const text = await say(type, pieces).then(
      async (answer) => (answer.status === 200 ? `given: ${await answer.text().catch(() => "cut")}` : "refused"),
      () => "cut",
    );
    expect(text).toMatch(/^(?:refused|cut|given: cut)$/);
  });

  it("that cannot be looked into passes where the connection says so, and the record names it", async () => {
    const lenient = await world.connect("scientist", "small");
    const binary = await say("application/octet-stream", ["\u0001"], lenient.base);
    expect(await binary.text()).toBe("\u0001");
    const broken = await say("application/json", ["{'ssn': '123-4", "5-6789'}"], lenient.base);
    expect(await broken.text()).toBe("{'ssn': '123-45-6789'}");
    const good = await say("application/json", ['{"ssn":"123-45-', '6789"}'], lenient.base);
    expect(await good.text()).toBe('{"ssn":"[US_SSN]"}');
    const { records } = await exportLog(world);
    const named = (answer: Response): unknown =>
      records.find((one) => one.type === "call.answered" && one.call === answer.headers.get("hoopish-call"));
    expect(named(binary)).toMatchObject({ uninspected: [expect.stringContaining("application/octet-stream")] });
    expect(named(broken)).toMatchObject({ uninspected: [expect.stringContaining("is not JSON")] });
    expect(named(good)).toMatchObject({ masked: { US_SSN: 1 } });
    await lenient.program.stop("SIGINT");
  });

  it("is never asked for in parts", async () => {
    const echo = await fetch(`${raw.base}/test/echo`, { headers: { range: "bytes=0-9", "if-range": '"x"' } });
    expect(((await echo.json()) as { headers: string[][] }).headers.flat().join()).not.toMatch(/range/i);
  });

  it("that is compressed is opened, and masked", async () => {
    const answer = await fetch(`${raw.base}/applicants/42`, { headers: { "x-test-mode": "gzip" } });
    const text = await answer.text();
    expect(text).toContain("[US_SSN]");
    expect(leaks(text)).toEqual([]);
  });

  it("that breaks off in the middle of a value gives nothing of it", async () => {
    const answer = await fetch(`${raw.base}/applicants/42`, { headers: { "x-test-mode": "die-midbody" } });
    const text = await answer.text().catch(() => "");
    expect(leaks(text)).toEqual([]);
  });
});

describe("a request", () => {
  const ask = (content: string) =>
    openai.chat.completions.create({ model: "m", messages: [{ role: "user", content }] });

  it("with a card never reaches the model", async () => {
    const before = world.model?.stats().requests;
    const refused = await ask(`Is ${person.card} still valid?`).catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 403, code: "policy_blocked" });
    expect(String((refused as Error).message)).toContain("CREDIT_CARD");
    expect(world.model?.stats().requests).toBe(before);
  });

  it("is judged by how much personal data is in it", async () => {
    expect((await ask("Write to a@bank.example.")).choices).toHaveLength(1);
    const refused = await ask("Write to a@bank.example and b@bank.example.").catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 403, code: "policy_blocked" });
    expect(String((refused as Error).message)).toContain("No lists of people.");
  });

  it("goes on without what is kept from the model, and the log can show both apart", async () => {
    const said = `EMP-004711 asks for SSN ${person.ssn}, and again: ssn ${person.ssn?.replaceAll("-", "")}`;
    const { response } = await openai.chat.completions
      .create({ model: "m", messages: [{ role: "user", content: said }] })
      .withResponse();
    const call = response.headers.get("hoopish-call") ?? "";
    const { records, payloads } = await exportLog(world);
    expect(payloads.get(`${call} request`)?.toString()).toContain(person.ssn);
    const forwarded = payloads.get(`${call} forwarded`)?.toString() ?? "";
    expect(leaks(forwarded)).toEqual([]);
    const aliases = forwarded.match(/\[US_SSN:[0-9a-f]{12}\]/g) ?? [];
    expect(aliases).toHaveLength(2);
    expect(new Set(aliases).size).toBe(1);
    expect(forwarded).toContain("[STAFF_ID] asks for");
    const decided = records.find((one) => one.type === "call.decided" && one.call === call);
    expect(decided).toMatchObject({ masked: { US_SSN: 2, STAFF_ID: 1 } });
    expect(Object.keys(decided?.payloads as object).sort()).toEqual(["forwarded", "request"]);
  });
});

it("other rules come into force while the server runs", async () => {
  const file = world.path("server.yaml");
  const rule = `  - { name: numbers, connections: [raw], direction: response, fields: ["$.applicant.number"], action: redact }\n`;
  writeFileSync(file, readFileSync(file, "utf8").replace("masking:\n", `masking:\n${rule}`));
  const endMs = Date.now() + 8_000;
  for (;;) {
    const text = await (await fetch(`${raw.base}/applicants/42`)).text();
    if (text.includes('"number":"[FIELD]"')) break;
    if (Date.now() > endMs) throw new Error(`the new rule is not in force: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
