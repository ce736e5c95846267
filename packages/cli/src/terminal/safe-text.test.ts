import { describe, expect, it } from "vitest";
import { safeDeep, safeJson, safeLine, safeText } from "./safe-text.ts";

describe("safeLine", () => {
  it.each([
    ["an escape sequence", "a\u001b[2Jb", "a\\x1b[2Jb"],
    ["a title change", "\u001b]0;owned\u0007", "\\x1b]0;owned\\x07"],
    ["a one-byte CSI (C1)", "\u009b31m", "\\x9b31m"],
    ["a carriage return that overwrites", "safe\rEVIL", "safe\\x0dEVIL"],
    ["a line feed that forges a line", "a\nb", "a\\x0ab"],
    ["a backspace", "abc\b\b\b", "abc\\x08\\x08\\x08"],
    ["delete", "\u007f", "\\x7f"],
    ["right-to-left override", "user\u202etxt.exe", "user\\u202etxt.exe"],
    ["isolates", "\u2066x\u2069", "\\u2066x\\u2069"],
    ["a zero-width space", "ad\u200bmin", "ad\\u200bmin"],
    ["a line separator", "a\u2028b", "a\\u2028b"],
    ["tag characters that hide text", "\u{e0041}", "\\u{e0041}"],
    ["a lone surrogate", "\ud800", "\ufffd"],
  ])("shows %s as what it is", (_name, text, shown) => {
    expect(safeLine(text)).toBe(shown);
  });

  it.each(["plain", "Zoë Müller", "数据科学", "👩‍🔬", "می‌خواهم", ""])("leaves %j alone", (text) => {
    expect(safeLine(text)).toBe(text);
  });
});

it("keeps line feeds and tabs of a body, and nothing else that moves the cursor", () => {
  expect(safeText("a\n\tb\r\u001b[1A")).toBe("a\n\tb\\x0d\\x1b[1A");
});

it("goes through everything in a decoded value, member names too", () => {
  expect(safeDeep({ "k\u001b": ["\u001b[31m", { x: 1, y: null, z: "\u009b" }] })).toEqual({
    "k\\x1b": ["\\x1b[31m", { x: 1, y: null, z: "\\x9b" }],
  });
});

it("writes JSON that is harmless on a terminal and reads back as the same value", () => {
  const value = { text: "\u001b[2J\u009b31m\u202e\u{e0041}\n\u007f", "\u009b": 1 };
  for (const indent of [undefined, 2]) {
    const text = safeJson(value, indent);
    expect(JSON.parse(text)).toEqual(value);
    expect(safeText(text)).toBe(text);
  }
});
