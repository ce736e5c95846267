import { HoopishError } from "@hoopish/protocol";
import { MATCH } from "./candidate.ts";
import { skeleton } from "./chars.ts";
import { isNamed } from "./field-path.ts";
import { typeOfMember } from "./members.ts";
import type { Action, FieldRule, MaskPlan } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { TextMask } from "./text-mask.ts";

const MAX_DEPTH = 200;
/** A member's name, or a number, that comes in pieces is put together up to this length. */
const MAX_ATOM = 65_536;
/** What is kept of the text to look back at. */
const HISTORY = 96;

const WORD = /true|false|null|NaN|Infinity/y;
const PART_OF_WORD = /^(?:t|tr|tru|f|fa|fal|fals|n|nu|nul|N|Na|I|In|Inf|Infi|Infin|Infini|Infinit)$/;

export interface JsonOptions {
  /** Several documents one after another. */
  readonly many?: boolean;
  /** Of a string's place: what masks it, instead of what masks any text. Undefined: nothing special. */
  readonly special?: (path: readonly (string | number)[]) => ((raw: string) => string) | undefined;
  /** A member of this name is replaced by null, whatever it is. */
  readonly dropped?: ReadonlySet<string>;
}

interface OpenString {
  readonly mask: (piece: string, final: boolean) => string;
}

/**
 * Masks JSON that comes in pieces, and leaves everything else of it as it is: order, spelling of numbers, spaces, escapes.
 * Strings are masked where they stand; numbers where a rule names them, or where they are a card's or have a word before them
 * that says what they are: they become strings. What is not JSON is refused, because a string that was taken for something
 * else would not be looked at.
 */
export class JsonMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  readonly #options: JsonOptions;
  readonly #tracks: boolean;
  /** "{" or "[" of what is open. */
  readonly #open: number[] = [];
  /** Names and indexes from the root to here; kept only where a rule asks for places. */
  readonly #path: (string | number)[] = [];
  #member = "";
  #expects: "value" | "name" | "colon" | "comma" | "end" = "value";
  /** "]" or "}" may come at once. */
  #mayClose = false;
  #before = "";
  #pending = "";
  /** The string that is under way, when its end was not there. */
  #string: OpenString | undefined;
  /** Depth at which what is dropped began, and its null is written. */
  #dropping: number | undefined;
  #out = "";
  #text = "";
  #copied = 0;

  constructor(plan: MaskPlan, tally: Tally, options: JsonOptions = {}) {
    this.#plan = plan;
    this.#tally = tally;
    this.#options = options;
    this.#tracks = plan.fields.length > 0 || options.special !== undefined;
  }

  /** Whether a document has ended and nothing of another has begun. */
  get complete(): boolean {
    return this.#expects === "end" && this.#pending === "";
  }

  /** Whether nothing has come but spaces. */
  get empty(): boolean {
    return this.#expects === "value" && this.#open.length === 0;
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(piece: string, final: boolean): string {
    const text = this.#before + this.#pending + piece;
    const start = this.#before.length;
    this.#out = "";
    const at = this.#read(text, start, final);
    this.#pending = text.slice(at);
    if (this.#pending.length > MAX_ATOM) throw notJson("a name or a number is too long");
    this.#before = text.slice(Math.max(0, at - HISTORY), at);
    if (final && (this.#pending !== "" || !(this.#expects === "end" || this.empty))) throw notJson("it breaks off");
    return this.#out;
  }

  /** @returns up to where it was read and is given out */
  #read(text: string, from: number, final: boolean): number {
    let at = from;
    this.#text = text;
    this.#copied = from;
    if (this.#string !== undefined) {
      const end = this.#goOn(text, at);
      this.#copied = end.at;
      if (!end.ended) return end.at;
      at = end.at;
    }
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || (code === 0xfeff && this.empty)) {
        at++;
        continue;
      }
      switch (code) {
        case 0x22: {
          const isName = this.#expects === "name";
          if (!isName) this.#wants("value");
          const end = stringEnd(text, at + 1);
          if (end < 0) {
            if (isName) {
              this.#flush(at);
              return at;
            }
            this.#flush(at + 1);
            this.#beginString(text, at);
            const rest = this.#goOn(text, at + 1);
            this.#copied = rest.at;
            return rest.at;
          }
          if (isName) {
            this.#named(text.slice(at + 1, end));
            at = end + 1;
            break;
          }
          const masked = this.#wholeString(text, at + 1, end);
          if (masked !== undefined) {
            this.#flush(at + 1);
            if (this.#dropping === undefined) this.#out += masked;
            this.#copied = end;
          }
          at = end + 1;
          at = this.#valueEnded(at);
          break;
        }
        case 0x7b:
        case 0x5b: {
          this.#wants("value");
          this.#beginDropping(at);
          this.#open.push(code);
          if (this.#open.length > MAX_DEPTH) throw notJson("it is nested too deeply");
          if (this.#tracks) this.#path.push(code === 0x5b ? 0 : "");
          this.#expects = code === 0x7b ? "name" : "value";
          this.#mayClose = true;
          at++;
          break;
        }
        case 0x7d:
        case 0x5d: {
          const opened = this.#open.pop();
          const fits = code === 0x7d ? opened === 0x7b : opened === 0x5b;
          if (!fits || !(this.#expects === "comma" || this.#mayClose)) throw notJson("a bracket is out of place");
          if (this.#tracks) this.#path.pop();
          at++;
          at = this.#valueEnded(at);
          break;
        }
        case 0x2c:
          if (this.#expects !== "comma") throw notJson("a comma is out of place");
          this.#expects = this.#open.at(-1) === 0x7b ? "name" : "value";
          this.#mayClose = false;
          if (this.#tracks && this.#expects === "value") {
            this.#path[this.#path.length - 1] = (this.#path.at(-1) as number) + 1;
          }
          at++;
          break;
        case 0x3a:
          if (this.#expects !== "colon") throw notJson("a colon is out of place");
          this.#expects = "value";
          this.#mayClose = false;
          at++;
          break;
        default: {
          const next = this.#number(text, at, final);
          if (next < 0) {
            this.#flush(at);
            return at;
          }
          at = next;
        }
      }
    }
    this.#flush(at);
    return at;
  }

  /** What was read up to here goes out as it came. */
  #flush(to: number): void {
    if (this.#dropping === undefined) {
      const { length } = this.#text;
      this.#out += this.#copied === 0 && to === length ? this.#text : this.#text.slice(this.#copied, to);
    }
    this.#copied = to;
  }

  #wants(what: "value"): void {
    if (this.#expects === "end" && this.#options.many === true) this.#expects = "value";
    if (this.#expects !== what) throw notJson(`a ${what} is out of place`);
  }

  #valueEnded(at: number): number {
    this.#mayClose = false;
    this.#expects = this.#open.length === 0 ? "end" : "comma";
    if (this.#dropping === this.#open.length) {
      this.#flush(at);
      this.#dropping = undefined;
      this.#copied = at;
    }
    return at;
  }

  #beginDropping(at: number): void {
    const { dropped } = this.#options;
    if (dropped === undefined || this.#dropping !== undefined || !this.#inObject || !dropped.has(this.#member)) return;
    this.#flush(at);
    this.#out += "null";
    this.#dropping = this.#open.length;
  }

  get #inObject(): boolean {
    return this.#open.at(-1) === 0x7b;
  }

  #named(raw: string): void {
    this.#member = raw.includes("\\") ? unquoted(raw) : raw;
    if (this.#tracks) this.#path[this.#path.length - 1] = this.#member;
    this.#expects = "colon";
    this.#mayClose = false;
  }

  /** The member whose value, or whose list's element, comes now. */
  get #memberHere(): string {
    return this.#open.length === 0 ? "" : this.#member;
  }

  #fieldRule(): FieldRule | undefined {
    const { fields } = this.#plan;
    if (fields.length === 0) return undefined;
    let found: FieldRule | undefined;
    for (const rule of fields) {
      if (isNamed(rule.path, this.#path) && (found === undefined || rule.action.kind === "block")) found = rule;
    }
    return found;
  }

  /** @returns undefined: it stays as it is */
  #wholeString(text: string, start: number, end: number): string | undefined {
    if (this.#dropping !== undefined) return undefined;
    const special = this.#options.special?.(this.#path);
    if (special !== undefined) return special(text.slice(start, end));
    const rule = this.#fieldRule();
    if (rule !== undefined) return this.#field(text.slice(start, end), rule.action);
    const plan = this.#plan;
    const type = typeOfMember(this.#memberHere, text, start, end, plan.wanted);
    if (type !== undefined) return this.#tally.replace(type, readable(text.slice(start, end)));
    if (plan.own === undefined && isPlain(text, start, end)) return this.#plainString(text, start, end);
    const raw = text.slice(start, end);
    const masked = new TextMask(plan, this.#tally, true, text.slice(Math.max(0, start - HISTORY), start)).push(
      raw,
      true,
    );
    return masked === raw ? undefined : masked;
  }

  /** Without escapes and characters that look like others: nothing has to be copied to be looked at. */
  #plainString(text: string, start: number, end: number): string | undefined {
    const { scanner } = this.#plan;
    scanner.begin(text, start, start, end, true);
    if (scanner.next() !== MATCH) return undefined;
    // There is something: from here on it costs what it costs.
    return new TextMask(this.#plan, this.#tally, true, text.slice(Math.max(0, start - HISTORY), start)).push(
      text.slice(start, end),
      true,
    );
  }

  #field(raw: string, action: Action): string {
    return raw === "" ? raw : this.#tally.replace("FIELD", readable(raw), action);
  }

  #beginString(text: string, quote: number): void {
    if (this.#dropping !== undefined) {
      this.#string = { mask: () => "" };
      return;
    }
    const special = this.#options.special?.(this.#path);
    const rule = this.#fieldRule();
    const type = typeOfMember(this.#memberHere, "", 0, -1, this.#plan.wanted);
    if (special !== undefined || rule !== undefined || type !== undefined) {
      let whole = "";
      this.#string = {
        mask: (piece, final) => {
          whole += piece;
          if (whole.length > MAX_ATOM * 16) throw notJson("a member that is masked as a whole is too long");
          if (!final) return "";
          if (special !== undefined) return special(whole);
          if (rule !== undefined) return this.#field(whole, rule.action);
          const sure = typeOfMember(this.#memberHere, whole, 0, whole.length, this.#plan.wanted);
          if (sure !== undefined) return this.#tally.replace(sure, readable(whole));
          return new TextMask(
            this.#plan,
            this.#tally,
            true,
            text.slice(Math.max(0, quote + 1 - HISTORY), quote + 1),
          ).push(whole, true);
        },
      };
      return;
    }
    const mask = new TextMask(this.#plan, this.#tally, true, text.slice(Math.max(0, quote + 1 - HISTORY), quote + 1));
    this.#string = { mask: (piece, final) => mask.push(piece, final) };
  }

  #goOn(text: string, at: number): { readonly at: number; readonly ended: boolean } {
    const string = this.#string as OpenString;
    // A backslash at the very end belongs to what follows.
    const end = stringEnd(text, at);
    const to = end < 0 ? text.length - trailingSlash(text, at) : end;
    const piece = text.slice(at, to);
    const masked = string.mask(piece, end >= 0);
    if (this.#dropping === undefined) this.#out += masked;
    if (end < 0) return { at: to, ended: false };
    this.#string = undefined;
    if (this.#dropping === undefined) this.#out += '"';
    this.#mayClose = false;
    this.#expects = this.#open.length === 0 ? "end" : "comma";
    return { at: end + 1, ended: true };
  }

  /** @returns where to go on; −1: more must be seen */
  #number(text: string, at: number, final: boolean): number {
    const code = text.charCodeAt(at);
    if ((code >= 48 && code <= 57) || code === 0x2d) return this.#numbers(text, at, final);
    WORD.lastIndex = at;
    const word = WORD.exec(text)?.[0];
    if (word === undefined) {
      if (!final && text.length - at < 9 && PART_OF_WORD.test(text.slice(at))) return -1;
      throw notJson("something is no value");
    }
    this.#wants("value");
    return this.#valueEnded(at + word.length);
  }

  #numbers(text: string, at: number, final: boolean): number {
    if (text.startsWith("-Infinity", at)) {
      this.#wants("value");
      return this.#valueEnded(at + 9);
    }
    const inArray = this.#open.at(-1) === 0x5b && !this.#tracks;
    if (inArray && this.#expects === "value") {
      const last = afterNumbers(text, at);
      if (last > at) {
        this.#mayClose = false;
        return last;
      }
    }
    let end = at + 1;
    while (end < text.length && isNumeral(text.charCodeAt(end))) end++;
    if (end === text.length && !final) {
      if (end - at > MAX_ATOM) throw notJson("a number is too long");
      return -1;
    }
    this.#wants("value");
    const number = text.slice(at, end);
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(number)) throw notJson("a number is none");
    const masked = this.#dropping === undefined ? this.#maskedNumber(text, at, end, number) : undefined;
    if (masked !== undefined) {
      this.#flush(at);
      this.#out += `"${masked}"`;
      this.#copied = end;
    }
    return this.#valueEnded(end);
  }

  #maskedNumber(text: string, at: number, end: number, number: string): string | undefined {
    const rule = this.#fieldRule();
    if (rule !== undefined) return this.#field(number, rule.action);
    if (!/^\d{6,19}$/.test(number)) return undefined;
    const { scanner } = this.#plan;
    scanner.begin(text, at, at, end, true);
    if (scanner.next() !== MATCH || scanner.found.start !== at || scanner.found.end !== end) return undefined;
    return this.#tally.replace(scanner.found.type, number);
  }
}

const isNumeral = (code: number): boolean =>
  (code >= 48 && code <= 57) || code === 0x2e || code === 0x2b || code === 0x2d || code === 0x65 || code === 0x45;

/** A number with so many digits and no point may be somebody's. */
const LONG_NUMBER = 6;

/**
 * Passes over the numbers of an array that nobody has to look at, an embedding's above all: each is followed by its comma.
 * @returns where the first begins that is to be looked at, is the last one, or is no number
 */
function afterNumbers(text: string, from: number): number {
  // `| 0`: behind the end of the text there is NaN, which is no digit.
  let passed = from;
  let at = from;
  for (;;) {
    let code = text.charCodeAt(at);
    if (code === 0x2d) code = text.charCodeAt(++at);
    const digits = at;
    while (((code | 0) - 48) >>> 0 <= 9) code = text.charCodeAt(++at);
    const whole = at - digits;
    if (whole === 0 || (whole > 1 && text.charCodeAt(digits) === 48)) return passed;
    if (code === 0x2e) {
      const fraction = ++at;
      code = text.charCodeAt(at);
      while (((code | 0) - 48) >>> 0 <= 9) code = text.charCodeAt(++at);
      if (at === fraction) return passed;
    } else if (whole >= LONG_NUMBER) return passed;
    if ((code | 0x20) === 0x65) {
      code = text.charCodeAt(++at);
      if (code === 0x2b || code === 0x2d) code = text.charCodeAt(++at);
      const exponent = at;
      while (((code | 0) - 48) >>> 0 <= 9) code = text.charCodeAt(++at);
      if (at === exponent) return passed;
    }
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++at);
    if (code !== 0x2c) return passed;
    code = text.charCodeAt(++at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++at);
    passed = at;
  }
}

/** Index of the quote that ends the string whose inside begins at `start`; −1: it is not here. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end > 0 && text.charCodeAt(end - 1) === 0x5c && isEscaped(text, start, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, start: number, at: number): boolean {
  let slashes = 0;
  while (at - 1 - slashes >= start && text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
  return slashes % 2 === 1;
}

/** 1 when the text ends in a backslash that begins an escape. */
function trailingSlash(text: string, start: number): number {
  return isEscaped(text, start, text.length) ? 1 : 0;
}

const ODD = /[^\x20-\x7e]|\\/;
/** Nothing in it has to be read to be seen. */
const isPlain = (text: string, start: number, end: number): boolean => {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7e || code === 0x5c) return !ODD.test(text.slice(start, end));
  }
  return true;
};

function unquoted(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    throw notJson("a member's name is no string");
  }
}

/** A value as a person reads it, for pseudonyms and stars. */
const readable = (raw: string): string => skeleton(raw, true).text;

const notJson = (why: string): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: it is not JSON: ${why}`);
