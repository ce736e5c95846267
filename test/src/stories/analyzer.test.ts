import { type AnalyzerFixture, startAnalyzer } from "@hoopish/fixtures";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connected, World } from "../world/world.ts";

/** Names, which take a model: an analyzer beside the server is asked before anything of a text goes on. */

let analyzer: AnalyzerFixture;
let world: World;
let chat: Connected;
let raw: Connected;
let openai: OpenAI;
let name: string;

beforeAll(async () => {
  analyzer = await startAnalyzer();
  const asked = `{ url: "${analyzer.url}", entities: [PERSON], deadline: 500ms }`;
  world = await World.start({
    serverExtra: `masking:
  - { name: people, connections: [chat, raw], direction: response, detect: [US_SSN], analyzer: ${asked}, action: redact }
  - { name: questions, connections: [chat], direction: request, analyzer: ${asked}, action: pseudonym }
`,
  });
  await world.signIn("scientist");
  await world.signIn("audit");
  chat = await world.connect("scientist", "chat");
  raw = await world.connect("scientist", "raw");
  openai = new OpenAI({ baseURL: `${chat.base}/v1`, apiKey: "unused", maxRetries: 0 });
  const told = await fetch(`${world.modelUrl}/applicants/42`, {
    headers: { authorization: `Bearer ${world.credential}` },
  });
  name = ((await told.json()) as { applicant: { name: string } }).applicant.name;
}, 60_000);
afterAll(async () => {
  await world?.close();
  await analyzer?.close();
});

const question = [{ role: "user" as const, content: "Tell me about applicant 42." }];

describe("an analyzer", () => {
  it("finds names in a stream, in an answer, and beside what the detectors find", async () => {
    const stream = await openai.chat.completions.create({ model: "m", messages: question, stream: true });
    let text = "";
    let pieces = 0;
    for await (const event of stream) {
      if (event.choices[0]?.delta.content) pieces += 1;
      text += event.choices[0]?.delta.content ?? "";
    }
    expect(text).toContain("Applicant 42 is [PERSON], born on");
    expect(text).toContain("social security number is [US_SSN]");
    expect(text).not.toContain(name);
    expect(pieces).toBeGreaterThan(20);
    const whole = await openai.chat.completions.create({ model: "m", messages: question });
    expect(whole.choices[0]?.message.content).toBe(text);
    const json = await (await fetch(`${raw.base}/applicants/42`)).text();
    expect(JSON.parse(json)).toMatchObject({ applicant: { name: "[PERSON]", ssn: "[US_SSN]", number: 42 } });
  });

  it("is asked about requests, too, and a person's alias is the same each time", async () => {
    const { response } = await openai.chat.completions
      .create({ model: "m", messages: [{ role: "user", content: `Is ${name} a good risk? Again: ${name} 😀?` }] })
      .withResponse();
    const call = response.headers.get("hoopish-call") ?? "";
    const shown = await world.cli("audit", ["audit", "show", call]);
    expect(shown.stdout).toContain("2 PERSON in the request");
    const forwarded = shown.stdout.slice(shown.stdout.indexOf("\nforwarded"));
    const aliases = forwarded.slice(0, forwarded.indexOf("\ndelivered")).match(/\[PERSON:[0-9a-f]{12}\]/g) ?? [];
    expect(aliases).toHaveLength(2);
    expect(new Set(aliases).size).toBe(1);
  });

  it.each(["hang", "broken", "nonsense"] as const)("that is %s lets nothing pass", async (mode) => {
    analyzer.mode = mode;
    try {
      const startMs = performance.now();
      const answer = await fetch(`${raw.base}/applicants/42`);
      expect(answer.status).toBe(502);
      expect(await answer.text()).not.toContain(name);
      expect(performance.now() - startMs).toBeLessThan(3_000);
      const refused = await openai.chat.completions
        .create({ model: "m", messages: question })
        .catch((error: unknown) => error);
      expect(refused).toMatchObject({ status: 403, code: "policy_blocked" });
    } finally {
      analyzer.mode = "well";
    }
  });
});
