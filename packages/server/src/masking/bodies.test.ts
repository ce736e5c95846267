import { describe, expect, it } from "vitest";
import { parseFieldPath } from "./field-path.ts";
import { Masker, maskWhole } from "./masker.ts";
import { buildPlan, type MaskPlan } from "./plan.ts";
import { testMac, testPlan } from "./testing/plan.ts";

const plan = testPlan();
const mask = (type: string, text: string, of: MaskPlan = plan): string =>
  maskWhole(Buffer.from(text), type, of).bytes.toString();
const json = (text: string, of?: MaskPlan): string => mask("application/json", text, of);

describe("JSON", () => {
  it("stays as it was, but for what is masked", () => {
    const text = ' { "b" : 1.50, "a":[ 1e5 ,-0,"x\\u0041\\/", true ],\r\n"ssn":"123456789", "z":{} }\n';
    expect(json(text)).toBe(text.replace("123456789", "[US_SSN]"));
  });

  it.each([
    ["numbers with a word before them", '{"ssn":123456789,"n":123456789}', '{"ssn":"[US_SSN]","n":123456789}'],
    ["a card as a number", '{"c":[1,4111111111111111]}', '{"c":[1,"[CREDIT_CARD]"]}'],
    ["a name of a member in camel case", '{"socialSecurityNumber":"123456789"}', '{"socialSecurityNumber":"[US_SSN]"}'],
    ["a neighbour that says what it is", '{"type":"SSN","value":"123456789"}', '{"type":"SSN","value":"[US_SSN]"}'],
    ["escapes", '{"a":"\\u0031\\u0032\\u0033-45-6789"}', '{"a":"[US_SSN]"}'],
    ["pairs of escapes", '{"a":"\\ud835\\udfd2111111111111111"}', '{"a":"[CREDIT_CARD]"}'],
    ["a member twice", '{"a":"123-45-6789","a":"123-45-6789"}', '{"a":"[US_SSN]","a":"[US_SSN]"}'],
    [
      "names of people by their member",
      '{"first_name":"Ada","lastName":"Byron"}',
      '{"first_name":"[PERSON]","lastName":"[PERSON]"}',
    ],
    ["names that are a model's", '{"name":"Credit Model","id":"x"}', '{"name":"Credit Model","id":"x"}'],
    ["Python's numbers", '[NaN,Infinity,-Infinity,"123-45-6789"]', '[NaN,Infinity,-Infinity,"[US_SSN]"]'],
    ["probabilities of tokens", '{"logprobs":{"content":[{"token":"123"}]},"a":1}', '{"logprobs":null,"a":1}'],
    ["a byte order mark", '\ufeff{"ssn":"123456789"}', '\ufeff{"ssn":"[US_SSN]"}'],
    ["nothing", "", ""],
  ])("%s", (_, text, expected) => {
    expect(json(text)).toBe(expected);
  });

  it.each([
    ["quotes of another kind", "{'a':'123-45-6789'}"],
    ["a text before it", 'x {"a":1}'],
    ["a comma too many", '{"a":1,}'],
    ["a colon too few", '{"a" 1}'],
    ["brackets that do not fit", '{"a":[1}]'],
    ["numbers side by side", "[123 45 6789]"],
    ["a number that is none", "[01]"],
    ["two documents", '{"a":1}{"b":2}'],
    ["an end too early", '{"a":"b"'],
    ["too deep", "[".repeat(300)],
  ])("refuses %s", (_, text) => {
    expect(() => json(text)).toThrow(expect.objectContaining({ code: "response_uninspectable" }));
  });

  it("a string of megabytes flows, and is masked in its middle", () => {
    const masker = new Masker(plan, "application/json");
    const bytes = Buffer.from(`{"a":"${"lorem ipsum ".repeat(300_000)}123-45-6789${" dolor".repeat(300_000)}"}`);
    let out = "";
    let most = 0;
    for (let at = 0; at < bytes.length; at += 65_536) {
      const piece = masker.push(bytes.subarray(at, at + 65_536)).toString();
      most = Math.max(most, at + 65_536 - (out.length + piece.length));
      out += piece;
    }
    out += masker.end().toString();
    expect(out).toBe(bytes.toString().replace("123-45-6789", "[US_SSN]"));
    // What is held is a few characters, wherever it is.
    expect(most).toBeLessThan(65_536 + 64);
  });

  it("an embedding is untouched", () => {
    const text = JSON.stringify({
      data: [{ embedding: Array.from({ length: 1_536 }, (_, i) => Math.sin(i) * 1.25) }],
    });
    expect(json(text)).toBe(text);
  });
});

describe("fields", () => {
  const of = (
    path: string,
    action: Parameters<typeof buildPlan>[0][number]["action"] = { kind: "redact" },
  ): MaskPlan => {
    const parsed = parseFieldPath(path);
    if (typeof parsed === "string") throw new Error(parsed);
    return buildPlan([{ detect: [], fields: [parsed], action }], undefined, testMac);
  };
  const document = '{"a":{"name":"x","n":[{"id":7,"name":"y"}]},"name":"z","b c":true}';

  it.each([
    ["$.a.name", '{"a":{"name":"[FIELD]","n":[{"id":7,"name":"y"}]},"name":"z","b c":true}'],
    ["$..name", '{"a":{"name":"[FIELD]","n":[{"id":7,"name":"[FIELD]"}]},"name":"[FIELD]","b c":true}'],
    ["$.a.n[0].id", '{"a":{"name":"x","n":[{"id":"[FIELD]","name":"y"}]},"name":"z","b c":true}'],
    ["$.a.n[*].name", '{"a":{"name":"x","n":[{"id":7,"name":"[FIELD]"}]},"name":"z","b c":true}'],
    ["$.a.n", '{"a":{"name":"x","n":[{"id":"[FIELD]","name":"[FIELD]"}]},"name":"z","b c":true}'],
    ["$['name']", '{"a":{"name":"x","n":[{"id":7,"name":"y"}]},"name":"[FIELD]","b c":true}'],
    ["$.a.n[1]", document],
  ])("%s", (path, expected) => {
    expect(json(document, of(path))).toBe(expected);
  });

  it("blocks what a path names", () => {
    expect(() => json(document, of("$.a.name", { kind: "block" }))).toThrow(
      expect.objectContaining({ code: "policy_blocked" }),
    );
  });
});

describe("events", () => {
  const events = (...data: readonly object[]): string => data.map((one) => `data: ${JSON.stringify(one)}\n\n`).join("");
  const all = (text: string): Record<string, unknown>[] =>
    text
      .split("\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice(6)) as Record<string, unknown>);

  it("tool calls, refusals and reasoning are texts of their own", () => {
    const delta = (part: object) => ({ choices: [{ index: 0, delta: part, finish_reason: null }] });
    const call = (index: number, text: string, more = {}) =>
      delta({ tool_calls: [{ index, ...more, function: { arguments: text } }] });
    const masked = all(
      mask(
        "text/event-stream",
        events(
          call(0, '{"ssn":"123-4', { id: "t1", type: "function" }),
          call(1, '{"card":"4111 1111 '),
          delta({ reasoning_content: "mail joe@ba" }),
          call(0, '5-6789"}'),
          delta({ reasoning_content: "nk.example now", refusal: "123-45-" }),
          call(1, '1111 1111"}'),
          delta({ refusal: "6789" }),
          { choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] },
        ),
      ),
    );
    const joined: Record<string, string> = {};
    for (const event of masked) {
      const [choice] = event.choices as { delta: Record<string, unknown> }[];
      for (const [name, value] of Object.entries(choice?.delta ?? {})) {
        if (typeof value === "string") joined[name] = (joined[name] ?? "") + value;
        for (const one of Array.isArray(value) ? (value as { index: number; function: { arguments: string } }[]) : []) {
          joined[`tool ${one.index}`] = (joined[`tool ${one.index}`] ?? "") + one.function.arguments;
        }
      }
    }
    expect(joined).toEqual({
      "tool 0": '{"ssn":"[US_SSN]"}',
      "tool 1": '{"card":"[CREDIT_CARD]"}',
      reasoning_content: "mail [EMAIL] now",
      refusal: "[US_SSN]",
    });
  });

  it("Anthropic's messages", () => {
    const text = (part: string) => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text: part },
    });
    const stream = [text("ssn 123-"), text("45-67"), text("89"), { type: "content_block_stop", index: 0 }]
      .map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`)
      .join("");
    const masked = mask("text/event-stream", stream);
    const texts = all(masked).map((event) => (event.delta as { text?: string } | undefined)?.text ?? "");
    expect(texts.join("")).toBe("ssn [US_SSN]");
    expect(masked).toContain('event: content_block_delta\ndata: {"type":"content_block_delta","index":0,');
    expect(masked.trimEnd().endsWith('{"type":"content_block_stop","index":0}')).toBe(true);
  });

  it("events of a kind that is not known are looked at one by one", () => {
    expect(mask("text/event-stream", 'id: 7\ndata: {"x":{"y":"123-45-6789"}}\n\n')).toBe(
      'id: 7\ndata: {"x":{"y":"[US_SSN]"}}\n\n',
    );
  });

  it.each([
    ["no last newline", 'data: {"x":"123-45-6789"}', 'data: {"x":"[US_SSN]"}'],
    [
      "data that is no JSON, over events",
      "data: my ssn 123-45\n\ndata: -6789 ok\n\n",
      "data: my ssn \n\ndata: [US_SSN] \n\ndata: ok\n\n",
    ],
    ["numbers that are pieces of a text", "data: 4111\n\ndata: 1111\n\ndata: 11111111\n\n", "data: [CREDIT_CARD]\n\n"],
    [
      "strings that are pieces of a text",
      'data: "4111 1111"\n\ndata: " 1111 1111."\n\n',
      'data: ""\n\ndata: ""\n\ndata: "[CREDIT_CARD]."\n\n',
    ],
    [
      "a text before its end",
      "data: ssn 123-45\n\ndata: -6789\n\ndata: [DONE]\n\n",
      "data: ssn \n\ndata: [US_SSN]\n\ndata: [DONE]\n\n",
    ],
    ["comments and unknown fields", ": 123-45-6789\nfoo: joe@bank.example\n\n", ": [US_SSN]\nfoo: [EMAIL]\n\n"],
    ["an empty stream", "", ""],
  ])("%s", (_, text, expected) => {
    expect(mask("text/event-stream", text)).toBe(expected);
  });
});

describe("forms", () => {
  it("urlencoded: each value, what is not changed as it was", () => {
    expect(mask("application/x-www-form-urlencoded", "a=%31%32%33-45-6789&b=x+y%20z&ssn=123456789")).toBe(
      "a=%5BUS_SSN%5D&b=x+y%20z&ssn=%5BUS_SSN%5D",
    );
  });

  const part = (head: string, content: string): string => `--B\r\n${head}\r\n\r\n${content}\r\n`;
  it("multipart: each part by its type or its file's name", () => {
    const body = `${part('Content-Disposition: form-data; name="ssn"', "123456789")}${part(
      'Content-Disposition: form-data; name="f"; filename="rows.jsonl"',
      '{"a":"\\u0031\\u0032\\u0033-45-6789"}\n{"b":1}',
    )}--B--\r\n`;
    expect(mask("multipart/form-data; boundary=B", body)).toBe(
      body.replace("123456789", "[US_SSN]").replace("\\u0031\\u0032\\u0033-45-6789", "[US_SSN]"),
    );
  });

  it.each([
    ["a picture", `${part('Content-Disposition: form-data; name="f"; filename="a.png"', "x")}--B--\r\n`],
    ["no end", part('Content-Disposition: form-data; name="f"', "x")],
  ])("refuses %s", (_, body) => {
    expect(() => mask("multipart/form-data; boundary=B", body)).toThrow(
      expect.objectContaining({ code: "response_uninspectable" }),
    );
  });
});
