import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Gutter } from "./gutter.ts";

const BAR = "| ";
function shown(columns: number | undefined, ...pieces: string[]): string {
  const gutter = new Gutter(BAR, BAR.length, columns);
  return pieces.map((piece) => gutter.write(piece)).join("") + gutter.end();
}

it.each([
  ["CSI: clear the screen, move the cursor up", "a\u001b[2J\u001b[1Ab", "| a\\x1b[2J\\x1b[1Ab\n"],
  [
    "OSC 8: a link that says something else",
    "\u001b]8;;http://evil\u0007bank\u001b]8;;\u0007",
    "| \\x1b]8;;http://evil\\x07bank\\x1b]8;;\\x07\n",
  ],
  ["OSC 52: writes the clipboard", "\u001b]52;c;cm0gLXJmIC8=\u0007", "| \\x1b]52;c;cm0gLXJmIC8=\\x07\n"],
  ["DCS: a device command", '\u001bP$q"p\u001b\\', '| \\x1bP$q"p\\x1b\\\n'],
  ["C1: one-byte CSI, OSC and DCS", "\u009b2J\u009d0;t\u009c\u0090x", "| \\x9b2J\\x9d0;t\\x9c\\x90x\n"],
  ["bidirectional override", "allow \u202ekcolb\u202c", "| allow \\u202ekcolb\\u202c\n"],
  ["a carriage return that overwrites the line", "block\rallow", "| block\\x0dallow\n"],
  ["backspaces", "block\b\b\b\b\ballow", "| block\\x08\\x08\\x08\\x08\\x08allow\n"],
  ["a line feed that forges a line of ours", "a\n+0.1 s call_1 allow", "| a\n| +0.1 s call_1 allow\n"],
  ["vertical tab and form feed", "a\u000bb\u000cc", "| a\\x0bb\\x0cc\n"],
])("%s", (_name, text, wanted) => {
  expect(shown(undefined, text)).toBe(wanted);
});

describe("a line that is too long for the terminal", () => {
  it("goes on behind the bar, so that padding cannot forge a line", () => {
    const attack = `${" ".repeat(78)}+0.1 s call_1 allow by everybody`;
    const lines = shown(80, attack).trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.startsWith(BAR)).toBe(true);
  });

  it("is counted in the terminal's columns", () => {
    expect(shown(10, "数".repeat(5))).toBe("| 数数数数\n| 数\n");
    expect(shown(10, "\tab")).toBe("|         \n| ab\n");
  });

  it("is so across pieces, and whatever the text", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", maxLength: 60 }), { maxLength: 5 }), (pieces) => {
        const text = shown(24, ...pieces);
        for (const line of text.split("\n").slice(0, -1)) {
          expect(line.startsWith(BAR)).toBe(true);
          expect([...line].length).toBeLessThanOrEqual(24);
          expect(line).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        }
      }),
    );
  });
});

it("loses nothing: an empty line, and a last line without an end", () => {
  expect(shown(undefined, "a\n", "\n", "b")).toBe("| a\n| \n| b\n");
  expect(shown(undefined)).toBe("");
});
