import { describe, expect, it } from "vitest";
import { Masker } from "./masker.ts";
import { ownPatterns } from "./own-patterns.ts";
import { buildPlan, type MaskPlan } from "./plan.ts";
import { maskedText, testMac, testPlan } from "./testing/plan.ts";
import { PII_TYPES } from "./types.ts";

/** However a text is cut, what comes out is the same; so nothing comes out early that is masked in the whole. */

const VALUES = [
  "123-45-6789",
  "4111 1111 1111 1111",
  "4111111111111111",
  "joe.doe@bank.example",
  "a@b.co",
  "GB82 WEST 1234 5698 7654 32",
  "gb48awjv07221741105646",
  "10.218.6.131",
  "3b20:9a3a:1b2f:7ce:9ef1:4787:85fc:261e",
  "fe80::1ff:fe23:4567:890a",
  "(044)688-7538x8775",
  "+1-212-555-0147",
  "212-555-0147",
  "021000021",
  "900-70-1234",
  "12/27/1947",
  "1980-02-03",
  "March 3, 1980",
  "3 March 1980",
  "sk-abcdefghijklmnop1234567890abcXYZ0987654321abcdefgh1234567890abcdefgh",
  "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
  "AKIAIOSFODNN7EXAMPLE",
  "-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\nQQ==\n-----END RSA PRIVATE KEY-----",
  "https://user:pw@host/x",
  "Dr. Ada Byron",
  "12 Main Street",
  "4１１１1111１１１１1111",
  "4111\u200b1111\u200b1111\u200b1111",
  "٤١١١١١١١١١١١١١١١",
  "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
  "123\u00ad-45\u2011-6789",
  "DEUTDEFF500",
  "0x52908400098527886E0F7030069857D2E4169EE7",
  "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
  "A123456789",
  "verylonglocalpartthatgoesonandonandonandonandonforever123456789@averyveryverylongdomainname.example.com",
];
const NOISE = [
  ...[
    "550e8400-e29b-41d4-a716-446655440000",
    "1700000000",
    "3.14159",
    "2024",
    "$1,234.56",
    "café",
    "日本語",
    "😀",
    "::",
    "://",
  ],
  ...[
    "--",
    "eyJ",
    "@",
    "x",
    "sk-",
    "-----BEGIN ",
    "Mr. ",
    "my name is ",
    "EMP-1234",
    "ssn",
    "social security number is",
  ],
  ...[
    "account number",
    "routing",
    "card",
    "call",
    "swift",
    "passport",
    "driver's license number is",
    "born on",
    "iban",
  ],
  ...["date of birth:", "npi", "the", "score was", "order", "e-mail", "Hello", "I", "and", "version", "EMP-123456"],
];
const GAPS = [" ", " ", " ", ", ", ". ", "\n", ": ", "", "-", ".", "(", ")", " (", "\t", '"', "=", "/"];

/** A small generator, so that each run has the same texts. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

function texts(count: number, seed: number): string[] {
  const next = random(seed);
  const pick = (list: readonly string[]): string => list[Math.floor(next() * list.length)] as string;
  return Array.from({ length: count }, () => {
    let text = "";
    for (let parts = 1 + Math.floor(next() * 7); parts > 0; parts--)
      text += pick(next() < 0.45 ? VALUES : NOISE) + pick(GAPS);
    return text;
  });
}

const withOwn = (): MaskPlan => {
  const pattern = { type: "STAFF_ID", regex: "EMP-[0-9]{6}", maxLength: 10, action: { kind: "redact" } as const };
  return buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], ownPatterns([pattern]), testMac);
};

describe("a text", () => {
  it.each([
    ["as it is", testPlan(), false],
    ["between the quotes of JSON", testPlan(), true],
    ["with patterns of one's own", withOwn(), false],
  ])("%s: every cut, and every character alone", (_, plan, escaped) => {
    for (const plain of texts(150, 7)) {
      const text = escaped
        ? JSON.stringify(plain)
            .slice(1, -1)
            .replace(/[1-3]/g, (digit) => `\\u003${digit}`)
        : plain;
      const whole = maskedText([text], plan, escaped).text;
      const single = maskedText(text.split(""), plan, escaped);
      expect(single.text).toBe(whole);
      if (!escaped) expect(single.held).toBeLessThanOrEqual(64);
      for (let cut = 1; cut < text.length; cut++) {
        expect(maskedText([text.slice(0, cut), text.slice(cut)], plan, escaped).text).toBe(whole);
      }
    }
  });
});

/** A body in bytes, cut there. */
function body(type: string, bytes: Buffer, cuts: readonly number[], plan: MaskPlan): string {
  const masker = new Masker(plan, type);
  const out: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy: whoever gives bytes may use them again.
    out.push(Buffer.from(masker.push(Buffer.from(bytes.subarray(from, cut)))));
    from = cut;
  }
  out.push(masker.end());
  return Buffer.concat(out).toString();
}

const chunk = (content: string, index: number): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index, delta: { content }, finish_reason: null }] })}\n\n`;
const finish = (index: number): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index, delta: {}, finish_reason: "stop" }] })}\n\n`;

/** What a client puts together from events: by choice. */
function contents(events: string): string[] {
  const out: string[] = [];
  for (const line of events.split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const { choices } = JSON.parse(line.slice(6)) as { choices: { index: number; delta: { content?: string } }[] };
    for (const { index, delta } of choices) out[index] = (out[index] ?? "") + (delta.content ?? "");
  }
  return out;
}

describe("every value", () => {
  const plan = testPlan();
  const sentence = (value: string): string => `The ssn, account, born on, passport: ${value} is his.`;

  it.each(VALUES)("%s: in JSON, cut at every byte", (value) => {
    const bytes = Buffer.from(JSON.stringify({ a: [1.5, { text: sentence(value) }], n: null }));
    const whole = body("application/json", bytes, [], plan);
    expect(JSON.parse(whole)).toBeTruthy();
    expect(JSON.parse(whole).a[1].text).toBe(maskedText([sentence(value)], plan).text);
    for (let cut = 1; cut < bytes.length; cut++) expect(body("application/json", bytes, [cut], plan)).toBe(whole);
    expect(body("application/json", bytes, [...bytes.keys()].slice(1), plan)).toBe(whole);
  });

  it.each(VALUES)("%s: in events of two choices, at every place of every piece", (value) => {
    const text = sentence(value);
    const expected = maskedText([text], plan).text;
    for (let cut = 0; cut <= text.length; cut++) {
      const events = `${chunk(text.slice(0, cut), 0)}${chunk(text, 1)}${chunk(text.slice(cut), 0)}${finish(1)}${finish(0)}data: [DONE]\n\n`;
      const masked = body("text/event-stream", Buffer.from(events), [events.length >> 1], plan);
      expect(contents(masked)).toEqual([expected, expected]);
      expect(masked.endsWith("data: [DONE]\n\n")).toBe(true);
    }
  });

  it.each(VALUES)("%s: in lines and as text, cut at every byte", (value) => {
    const expected = maskedText([sentence(value)], plan).text;
    const plain = Buffer.from(sentence(value));
    const line = Buffer.from(
      `${JSON.stringify({ response: sentence(value), done: false })}\n{"response":"","done":true}\n`,
    );
    const lines = body("application/x-ndjson", line, [], plan);
    const joined = lines
      .trim()
      .split("\n")
      .map((one) => (JSON.parse(one) as { response: string }).response)
      .join("");
    expect(joined).toBe(expected);
    for (let cut = 1; cut < plain.length; cut++) expect(body("text/plain", plain, [cut], plan)).toBe(expected);
    for (let cut = 1; cut < line.length; cut += 3) expect(body("application/x-ndjson", line, [cut], plan)).toBe(lines);
  });
});

it("gives out what cannot be seen where nothing is masked, wherever the text is cut", () => {
  const plan = testPlan(["US_SSN"]);
  for (const text of ["\u3164", "\u200ba", "a\u3164", "\ufeff x \u200b\u200b", "\u3164\u3164", "a \u200b b"]) {
    for (let cut = 0; cut <= text.length; cut++) {
      expect(maskedText([text.slice(0, cut), text.slice(cut)], plan).text).toBe(text);
    }
  }
});
