/** Classes of characters, as bits. */
export const DIGIT = 1;
export const LETTER = 2;
export const UPPER = 4;
/** May stand in the local part of an e-mail address (the usual ones; RFC 5321 allows more). */
export const LOCAL = 8;
export const DOMAIN = 16;
export const HEX = 32;
/** Where a detector looks. */
export const TRIGGER = 64;
export const SPACE = 128;

const CLASS = new Uint8Array(128);
const add = (chars: string, bits: number): void => {
  for (const char of chars) CLASS[char.charCodeAt(0)] = (CLASS[char.charCodeAt(0)] as number) | bits;
};
add("0123456789", DIGIT | LOCAL | DOMAIN | HEX | TRIGGER);
add("abcdefghijklmnopqrstuvwxyz", LETTER | LOCAL | DOMAIN);
add("ABCDEFGHIJKLMNOPQRSTUVWXYZ", LETTER | UPPER | LOCAL | DOMAIN | TRIGGER);
add("abcdefABCDEF", HEX);
add("._%+-'", LOCAL);
add(".-", DOMAIN);
add("@:-_", TRIGGER);
add(" \t\n\r", SPACE);

/** Beyond ASCII only letters are left when a skeleton was made, and what is no part of anything. */
export function classOf(code: number): number {
  if (code < 128) return CLASS[code] as number;
  return code >= 0xc0 && code !== 0xd7 && code !== 0xf7 ? LETTER | LOCAL | DOMAIN : 0;
}

/** The table for ASCII, for loops that look at every character. */
export const ASCII_CLASSES: Uint8Array = CLASS;

/** A text in which every character is one that detectors know, and where its characters came from. */
export interface Skeleton {
  readonly text: string;
  /** Index in the original of each character, and of the end; undefined: the same. */
  readonly map: Int32Array | undefined;
  /** Invisible characters at the end: they go on in the next piece. */
  readonly invisible: number;
}

/** What stands for more than a few invisible characters in a row, which no value has. */
const BREAK = "\u0001";
/** Invisible characters in a row that are seen through. */
const MAX_INVISIBLE = 32;

/** Characters that a skeleton changes. Quick to say no for ASCII and for the letters of most languages. */
const SPECIAL =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: combining characters are what is looked for
  /[\u00a0\u00ad\u00b2\u00b3\u00b7\u00b9\u02d0\u0300-\u036f\u034f\u0589\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u0d6f\u0de6-\u0def\u0e50-\u0e59\u0ed0-\u0ed9\u0f20-\u0f29\u1040-\u1099\u115f\u1160\u1680\u17b4\u17b5\u17e0-\u17e9\u180b-\u1819\u1946-\u1a99\u1b50-\u1c59\u2000-\u209f\u20d0-\u20ff\u2212\u2460-\u24ff\u2796\u3000\u3164\ua620-\uaa59\uabf0-\uabf9\ud800-\udfff\ufe00-\ufe6f\ufeff\uff00-\uffef]/;

/**
 * Digits of every script become ASCII digits, full-width and mathematical letters become letters, dashes become "-", spaces a
 * space; what cannot be seen (zero-width, soft hyphen, variation selectors) is left out.
 * @param escaped the text stands between the quotes of a JSON string: its escapes are read
 * @param invisible how many invisible characters came before, at the end of the last piece
 */
export function skeleton(text: string, escaped = false, invisible = 0): Skeleton {
  if (!SPECIAL.test(text) && !(escaped && text.includes("\\"))) {
    return { text, map: undefined, invisible: text.length === 0 ? invisible : 0 };
  }
  const map = new Int32Array(text.length + 1);
  let out = "";
  let length = 0;
  let run = invisible;
  for (let at = 0; at < text.length; ) {
    const plain = at;
    for (let code = text.charCodeAt(at); code < 0x80 && !(escaped && code === 0x5c); code = text.charCodeAt(at)) {
      map[length++] = at++;
    }
    if (at > plain) {
      out += text.slice(plain, at);
      run = 0;
    }
    if (at >= text.length) break;
    let code = text.codePointAt(at) as number;
    let units = code > 0xffff ? 2 : 1;
    if (escaped && code === 0x5c) [code, units] = readEscape(text, at);
    const seen = code < 0x80 ? String.fromCharCode(code) : seenAs(code);
    if (seen !== "") {
      run = 0;
      out += seen;
      map[length++] = at;
    } else if (++run === MAX_INVISIBLE + 1) {
      out += BREAK;
      map[length++] = at;
    }
    at += units;
  }
  map[length] = text.length;
  return { text: out, map: map.subarray(0, length + 1), invisible: run };
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, f: 12 };

/** A JSON escape, and both halves of a pair: the code point, and how many characters say it. */
function readEscape(text: string, at: number): [code: number, units: number] {
  const kind = text[at + 1] ?? "";
  if (kind !== "u") return [ESCAPES[kind] ?? kind.charCodeAt(0), 2];
  const high = Number.parseInt(text.slice(at + 2, at + 6), 16);
  if (high < 0xd800 || high > 0xdbff || text[at + 6] !== "\\" || text[at + 7] !== "u") return [high, 6];
  const low = Number.parseInt(text.slice(at + 8, at + 12), 16);
  if (low < 0xdc00 || low > 0xdfff) return [high, 6];
  return [(high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000, 12];
}

/** How many characters at the end of a piece may be the beginning of something: half a pair, a part of an escape. */
export function unfinished(text: string, escaped: boolean): number {
  const last = text.charCodeAt(text.length - 1);
  if (!escaped) return last >= 0xd800 && last <= 0xdbff ? 1 : 0;
  const tail = text.slice(-12);
  const found = /(?:\\ud[89ab][0-9a-f]{2}(?:\\(?:u[0-9a-f]{0,3})?)?|\\(?:u[0-9a-f]{0,3})?)$/i.exec(tail);
  if (found === null) return last >= 0xd800 && last <= 0xdbff ? 1 : 0;
  // A backslash that is itself escaped begins nothing.
  let slashes = 0;
  const start = text.length - found[0].length;
  while (start - 1 - slashes >= 0 && text[start - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 0 ? found[0].length : 0;
}

const known = new Map<number, string>();

/** One UTF-16 unit, or none. */
function seenAs(code: number): string {
  let seen = known.get(code);
  if (seen === undefined) {
    seen = lookUp(code);
    if (known.size < 4_096) known.set(code, seen);
  }
  return seen;
}

function lookUp(code: number): string {
  const char = String.fromCodePoint(code);
  if (/^[\p{Cf}\p{Mn}\p{Me}\u115f\u1160\u3164]$/u.test(char)) return "";
  if (/^\p{Nd}$/u.test(char)) return String(digitOf(code));
  if (/^\p{Zs}$/u.test(char)) return " ";
  if (/^[\p{Pd}\u2212\u00b7\u2043\u30fb]$/u.test(char)) return "-";
  const plain = char.normalize("NFKC");
  if (plain.length === 1) return plain;
  // A ligature or a circled number is not part of anything that is looked for.
  return code > 0xffff ? BREAK : char;
}

/** Digits of a script stand in a row of ten, and rows begin where no digit stands before. */
function digitOf(code: number): number {
  const plain = String.fromCodePoint(code).normalize("NFKC");
  if (/^[0-9]$/.test(plain)) return Number(plain);
  let start = code;
  while (code - start < 10 && /^\p{Nd}$/u.test(String.fromCodePoint(start - 1))) start--;
  return (code - start) % 10;
}
