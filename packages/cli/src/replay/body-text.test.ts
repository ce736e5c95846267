import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBodyText } from "./body-text.ts";

function pushed(pieces: readonly Buffer[], raw = false): string[] {
  const body = createBodyText(raw);
  return [...pieces.map((piece) => body.push(piece)), body.end()];
}
const whole = (text: string | Buffer, raw = false): string => pushed([Buffer.from(text)], raw).join("");
/** Cut at any places. */
const cut = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const ends = [...new Set(at.map((n) => n % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
};

const chat = (content: string): string =>
  `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content } }] })}\n\n`;
const ROLE = `data: ${JSON.stringify({ choices: [{ delta: { role: "assistant", content: "" } }] })}\n\n`;
const STOP = `data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`;

describe("a stream of events", () => {
  it("is the text as its tokens came", () => {
    const pieces = [ROLE, chat("Applicant "), chat("42 "), chat("pays.\n"), STOP].map((text) => Buffer.from(text));
    expect(pushed(pieces)).toEqual(["", "Applicant ", "42 ", "pays.\n", "", ""]);
  });

  it.each([
    ["completions", 'data: {"choices":[{"text":"a"}]}\n\n', "a"],
    [
      "tool calls",
      'data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"rate","arguments":"{}"}}]}}]}\n\n',
      "rate {}",
    ],
    [
      "responses",
      'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
      "a",
    ],
    ["responses, other events", 'event: response.created\ndata: {"type":"response.created","response":{}}\n\n', ""],
    ["carriage returns", 'data: {"choices":[{"text":"a"}]}\r\n\r\ndata: {"choices":[{"text":"b"}]}\r\n\r\n', "ab"],
    ["something else", 'data: {"error":{"code":"x"}}\n\n', '{\n  "error": {\n    "code": "x"\n  }\n}\n'],
    ["no JSON", "data: hello there you\n\n", "hello there you\n"],
    ["comments alone", ": keep-alive, keep-alive\n\n", ""],
  ])("%s", (_name, text, shown) => {
    expect(whole(text)).toBe(shown);
  });

  it("is the same however it was cut", () => {
    const stream = Buffer.from([ROLE, chat("Zoë 数据 "), chat("👩‍🔬\r"), chat("\u001b[2J"), STOP].join(""));
    const text = whole(stream);
    expect(text).toBe("Zoë 数据 👩‍🔬\r\u001b[2J");
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 12 }), (at) => {
        expect(pushed(cut(stream, at)).join("")).toBe(text);
      }),
    );
  });

  it("is its bytes when they are asked for", () => {
    expect(whole(chat("a"), true)).toBe(chat("a"));
  });
});

describe("other bodies", () => {
  it("JSON is put in order when it is complete", () => {
    const bytes = Buffer.from('{"model":"m","messages":[{"role":"user","content":"hi"}]}');
    expect(pushed([bytes.subarray(0, 30), bytes.subarray(30)])).toEqual([
      "",
      "",
      `${JSON.stringify(JSON.parse(bytes.toString()), undefined, 2)}\n`,
    ]);
  });

  it("JSON that was cut off is shown as far as it came", () => {
    expect(whole('{"model":"m","messages":[{"role"')).toBe('{"model":"m","messages":[{"role"');
  });

  it("JSON of many lines is one document", () => {
    expect(whole('{\n "a": 1,\n "b": [2]\n}\n')).toBe('{\n  "a": 1,\n  "b": [\n    2\n  ]\n}\n');
  });

  it("Ollama's lines are the text as its tokens came", () => {
    const line = (content: string): Buffer => Buffer.from(`${JSON.stringify({ message: { content }, done: false })}\n`);
    expect(pushed([line("Hello "), line("there")])).toEqual(["Hello ", "there", ""]);
    expect(whole('{"response":"a","done":false}\n{"response":"","done":true}\n')).toBe("a");
  });

  it("what is no text is its size and its first bytes", () => {
    const bytes = Buffer.concat([Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), Buffer.alloc(3_000, 0xff)]);
    const [, , last] = pushed([bytes.subarray(0, 1_000), bytes.subarray(1_000)]);
    expect(last).toMatch(/^2\.9 KiB that are no text: 89 50 4e 47 0d 0a 1a 0a .*…$/);
    expect(whole(Buffer.from([0xff, 0xfe]))).toBe("2 B that are no text: ff fe");
  });

  it("plain text, empty, and one character", () => {
    expect(whole("just some words, no more")).toBe("just some words, no more");
    expect(whole("")).toBe("");
    expect(whole("数")).toBe("数");
  });

  it("takes bounded memory: a document without an end is shown as it comes", () => {
    const body = createBodyText(false);
    const chunk = Buffer.from(`"${"x".repeat(300_000)}",`);
    let shown = body.push(Buffer.from("[")).length;
    for (let n = 0; n < 10; n += 1) shown += body.push(chunk).length;
    expect(shown).toBeGreaterThan(9 * chunk.length);
    const stream = createBodyText(false);
    shown = stream.push(Buffer.from("data: ")).length;
    for (let n = 0; n < 10; n += 1) shown += stream.push(chunk).length;
    expect(shown).toBeGreaterThan(6 * chunk.length);
  });
});
