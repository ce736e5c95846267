/**
 * Text that came from a server, a model or an identity provider must never drive the terminal: escape sequences can
 * rewrite what was printed above, set the title, or make some terminals type. Bidirectional and invisible characters
 * can make an auditor read something else than what is there. Both are shown as escapes, and nothing is dropped.
 */

// C0, DEL and C1 (U+009B alone is a CSI to xterm), bidirectional controls, invisible characters, line separators, and
// the "tag" block in which text can be hidden. Joiners (U+200C/D) stay: real languages and emoji need them.
const HOSTILE = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e0fff}]/gu;

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\u{${code.toString(16)}}`;
}

/** For one line: line feeds and tabs are escaped too. */
export function safeLine(text: string): string {
  return text.toWellFormed().replace(HOSTILE, escaped);
}

/** For a body that is shown as it is: line feeds and tabs stay. */
export function safeText(text: string): string {
  return text.toWellFormed().replace(HOSTILE, (found) => (found === "\n" || found === "\t" ? found : escaped(found)));
}

/** A copy of a decoded JSON value in which every string, member names too, went through {@link safeLine}. */
export function safeDeep<T>(value: T): T {
  return copySafe(value) as T;
}

function copySafe(value: unknown): unknown {
  if (typeof value === "string") return safeLine(value);
  if (Array.isArray(value)) return value.map(copySafe);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [safeLine(name), copySafe(member)]));
}

/** JSON whose text is harmless on a terminal too; the value that a parser reads is the same. */
export function safeJson(value: unknown, indent?: number): string {
  // JSON.stringify escapes C0 itself; the line feeds that it adds with `indent` are ours.
  return JSON.stringify(value, undefined, indent).replace(HOSTILE, (found) =>
    found === "\n"
      ? found
      : Array.from(
          { length: found.length },
          (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`,
        ).join(""),
  );
}
