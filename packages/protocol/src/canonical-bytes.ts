import { isUtf8 } from "node:buffer";
import { MAX_RECORD_BYTES } from "./record.ts";

/**
 * Whether bytes are exactly the JCS form (RFC 8785) of a record, in one pass over them. JSON.parse and canonicalize say
 * the same (a test holds the two together) and cost five times as much, which a verifier pays for every record.
 *
 * The bytes may come from an attacker: nothing here recurses, and memory is bounded by a record's largest size.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const PLAIN = 0;
const ENDS = 1;
const ESCAPES = 2;
const NOT_ASCII = 3;
const FORBIDDEN = 4;

/** What each byte means inside a string. */
const IN_STRING: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === QUOTE) return ENDS;
  if (byte === BACKSLASH) return ESCAPES;
  if (byte < 0x20) return FORBIDDEN;
  return byte >= 0x80 ? NOT_ASCII : PLAIN;
});

/** The short escapes that JCS writes (RFC 8785 §3.2.2.2): \" \\ \b \f \n \r \t */
const SHORT_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\bfnrt'));
/** Control characters that have a short form, which is then the only form. */
const SHORT_CONTROLS: ReadonlySet<number> = new Set([0x08, 0x09, 0x0a, 0x0c, 0x0d]);

/** Each level of nesting takes two bytes at least. */
const MAX_DEPTH = MAX_RECORD_BYTES / 2 + 1;
const FAIL = -1;

/** Reads one record after another, and afterwards knows where each record's own members stand. Nothing is copied. */
export class RecordScanner {
  /** Members of the record itself that the last {@link scan} found. */
  count = 0;
  readonly #names = new Int32Array(2 * MAX_DEPTH);
  readonly #values = new Int32Array(2 * MAX_DEPTH);
  /** Of each open object: where its last name begins and ends; `#odd`: it has an escape or a byte past ASCII. */
  readonly #lastStart = new Int32Array(MAX_DEPTH);
  readonly #lastEnd = new Int32Array(MAX_DEPTH);
  readonly #lastOdd = new Uint8Array(MAX_DEPTH);
  readonly #isObject = new Uint8Array(MAX_DEPTH);
  #bytes: Buffer = Buffer.alloc(0);
  #end = 0;
  #odd = false;
  #ascii = true;

  /** Whether `bytes[from, to)` is one canonical record. */
  scan(bytes: Buffer, from: number, to: number): boolean {
    this.count = 0;
    this.#bytes = bytes;
    this.#end = to;
    this.#ascii = true;
    if (to - from > MAX_RECORD_BYTES || to <= from || bytes[from] !== OPEN_BRACE) return false;
    return this.#scanNested(from) === to && (this.#ascii || isUtf8(bytes.subarray(from, to)));
  }

  /** Where the value of the record's member `name` stands; -1 and -1 when there is none. `name` is plain ASCII. */
  find(name: string): number {
    const bytes = this.#bytes;
    for (let member = 0; member < this.count; member++) {
      const start = this.#names[2 * member] as number;
      if ((this.#names[2 * member + 1] as number) - start !== name.length) continue;
      let same = 0;
      while (same < name.length && bytes[start + same] === name.charCodeAt(same)) same++;
      if (same === name.length) return member;
    }
    return FAIL;
  }

  valueStart(member: number): number {
    return this.#values[2 * member] as number;
  }

  valueEnd(member: number): number {
    return this.#values[2 * member + 1] as number;
  }

  /** @returns where the value that begins at `at` ends, or FAIL */
  #scanNested(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    let depth = 0;
    for (;;) {
      const opener = at < this.#end ? bytes[at] : FAIL;
      if (opener === OPEN_BRACE && bytes[at + 1] !== CLOSE_BRACE) {
        this.#isObject[++depth] = 1;
        this.#lastStart[depth] = FAIL;
        at = this.#scanName(at + 1, depth);
        if (at === FAIL) return FAIL;
        continue;
      }
      if (opener === OPEN_BRACKET && bytes[at + 1] !== CLOSE_BRACKET) {
        this.#isObject[++depth] = 0;
        at += 1;
        continue;
      }
      at = this.#scanLeaf(at);
      if (at === FAIL) return FAIL;
      // What closes after this value, and whether another one follows.
      for (;;) {
        if (depth === 0) return at;
        if (depth === 1) this.#values[2 * this.count - 1] = at;
        const next = at < this.#end ? bytes[at] : FAIL;
        at += 1;
        if (next === COMMA) break;
        if (next !== (this.#isObject[depth] === 1 ? CLOSE_BRACE : CLOSE_BRACKET)) return FAIL;
        depth -= 1;
      }
      if (this.#isObject[depth] === 1) {
        at = this.#scanName(at, depth);
        if (at === FAIL) return FAIL;
      }
    }
  }

  /** A string, number, literal, {} or []. */
  #scanLeaf(at: number): number {
    if (at >= this.#end) return FAIL;
    const first = this.#bytes[at] as number;
    if (first === QUOTE) return this.#scanString(at + 1);
    if (first === MINUS || (first >= ZERO && first <= NINE)) return this.#scanInteger(at);
    // The two that are empty; that their second byte fits was seen by whoever asked.
    if (first === OPEN_BRACE || first === OPEN_BRACKET) return at + 2 <= this.#end ? at + 2 : FAIL;
    for (const literal of LITERALS) {
      if (literal[0] !== first) continue;
      for (let i = 1; i < literal.length; i++) if (this.#bytes[at + i] !== literal[i]) return FAIL;
      return at + literal.length <= this.#end ? at + literal.length : FAIL;
    }
    return FAIL;
  }

  /** @returns where the value of the name that begins at `at` begins */
  #scanName(at: number, depth: number): number {
    const bytes = this.#bytes;
    if (at >= this.#end || bytes[at] !== QUOTE) return FAIL;
    this.#odd = false;
    const after = this.#scanString(at + 1);
    if (after === FAIL || after >= this.#end || bytes[after] !== COLON) return FAIL;
    const start = at + 1;
    const end = after - 1;
    if (this.#lastStart[depth] !== FAIL && !this.#isAscending(depth, start, end)) return FAIL;
    this.#lastStart[depth] = start;
    this.#lastEnd[depth] = end;
    this.#lastOdd[depth] = this.#odd ? 1 : 0;
    if (depth === 1) {
      this.#names[2 * this.count] = start;
      this.#names[2 * this.count + 1] = end;
      this.#values[2 * this.count] = after + 1;
      this.count += 1;
    }
    return after + 1;
  }

  /** Whether the name at [start, end) stands behind the object's last one by UTF-16 code units (RFC 8785 §3.2.3). */
  #isAscending(depth: number, start: number, end: number): boolean {
    const lastStart = this.#lastStart[depth] as number;
    const lastEnd = this.#lastEnd[depth] as number;
    const bytes = this.#bytes;
    if (this.#odd || this.#lastOdd[depth] === 1) {
      // Escapes, and characters past U+FFFF, sort otherwise than their bytes do.
      return (
        unquoted(bytes.toString("utf8", lastStart - 1, lastEnd + 1)) <
        unquoted(bytes.toString("utf8", start - 1, end + 1))
      );
    }
    const shared = Math.min(lastEnd - lastStart, end - start);
    for (let i = 0; i < shared; i++) {
      const difference = (bytes[start + i] as number) - (bytes[lastStart + i] as number);
      if (difference !== 0) return difference > 0;
    }
    return end - start > lastEnd - lastStart;
  }

  /** @param at behind the opening quote @returns behind the closing one */
  #scanString(at: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    for (let i = at; i < end; i++) {
      const kind = IN_STRING[bytes[i] as number] as number;
      if (kind === PLAIN) continue;
      if (kind === ENDS) return i + 1;
      if (kind === FORBIDDEN) return FAIL;
      this.#odd = true;
      if (kind === NOT_ASCII) {
        this.#ascii = false;
      } else {
        i = this.#scanEscape(i + 1);
        if (i === FAIL) return FAIL;
      }
    }
    return FAIL;
  }

  /** @param at behind the backslash @returns the escape's last byte */
  #scanEscape(at: number): number {
    const bytes = this.#bytes;
    if (at >= this.#end) return FAIL;
    if (SHORT_ESCAPES.has(bytes[at] as number)) return at;
    // \u00xx in lower case, for the control characters without a short form.
    if (at + 4 >= this.#end) return FAIL;
    const text = bytes.toString("latin1", at, at + 5);
    if (!/^u00[01][0-9a-f]$/.test(text)) return FAIL;
    return SHORT_CONTROLS.has(Number.parseInt(text.slice(1), 16)) ? FAIL : at + 4;
  }

  /** An integer within ±(2^53−1), as ECMAScript writes it: no leading zero, no -0, no fraction, no exponent. */
  #scanInteger(at: number): number {
    const bytes = this.#bytes;
    const negative = bytes[at] === MINUS;
    const first = negative ? at + 1 : at;
    let value = 0;
    let i = first;
    for (; i < this.#end; i++) {
      const byte = bytes[i] as number;
      if (byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
      if (value > Number.MAX_SAFE_INTEGER) return FAIL;
    }
    if (i === first) return FAIL;
    if (bytes[first] === ZERO && (i > first + 1 || negative)) return FAIL;
    return i;
  }
}

const LITERALS: readonly Buffer[] = ["true", "false", "null"].map((word) => Buffer.from(word));

const unquoted = (text: string): string => JSON.parse(text) as string;

/** Whether `bytes` are exactly the JCS form of one record: an object of at most 65,535 bytes without floats. */
export function isCanonicalRecord(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new RecordScanner().scan(buffer, 0, buffer.length);
}
