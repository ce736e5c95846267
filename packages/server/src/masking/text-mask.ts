import { HOLD, MATCH, type Swallow } from "./candidate.ts";
import { classOf, DIGIT, DOMAIN, LETTER, skeleton, unfinished } from "./chars.ts";
import type { MaskPlan } from "./plan.ts";
import type { Tally } from "./tally.ts";

/** So much of what was seen is kept to look back at: more than any word before a number reaches. */
const HISTORY = 96;
const PEM_END = /-----END [A-Z\d ]{0,40}PRIVATE KEY-----/;
const PEM_END_LONGEST = 64;

/** Where a value stood: indexes into the whole text, in UTF-16 units. */
export type OnFound = (type: string, start: number, end: number) => void;

/**
 * Masks one text that comes in pieces. However it was cut, what comes out is the same, and of a value nothing comes out.
 * What may still become a value is held back; `push` with `final` gives the rest.
 */
export class TextMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  readonly #escaped: boolean;
  /** As detectors see it. */
  #history: string;
  #low: number;
  /** Where in that the last match ended. */
  #floor = 0;
  /** Not yet given out, as it came. */
  #pending = "";
  #invisible = 0;
  /** The last that was given out was a value. */
  #afterValue = false;
  #swallow: Swallow | undefined;
  readonly #onFound: OnFound | undefined;
  /** Where what is pending begins in the whole. */
  #offset = 0;
  /** A value whose end is not known yet. */
  #open: { readonly type: string; readonly start: number } | undefined;

  /**
   * @param escaped the text is the inside of a JSON string, and stays one
   * @param before what stands before it elsewhere: for words that tell what a number is
   */
  constructor(plan: MaskPlan, tally: Tally, escaped: boolean, before = "", onFound?: OnFound) {
    this.#onFound = onFound;
    this.#plan = plan;
    this.#tally = tally;
    this.#escaped = escaped;
    this.#history = before.slice(-HISTORY);
    this.#low = this.#history.length;
  }

  /** Characters that are held back. */
  get held(): number {
    return this.#pending.length;
  }

  /** @throws HoopishError policy_blocked for a value that must not pass */
  push(piece: string, final: boolean): string {
    let raw = this.#pending + piece;
    const open = final ? 0 : unfinished(raw, this.#escaped);
    const tail = open === 0 ? "" : raw.slice(raw.length - open);
    if (open > 0) raw = raw.slice(0, raw.length - open);
    const { text: seen, map, invisible } = skeleton(raw, this.#escaped, this.#invisible);
    const base = this.#history.length;
    const text = base === 0 ? seen : this.#history + seen;
    const high = text.length;
    const rawAt = (index: number): number => (map === undefined ? index - base : (map[index - base] as number));
    let from = base;
    const swallowed = this.#swallow !== undefined;
    if (this.#swallow !== undefined) {
      from = this.#swallowed(text, from, final);
      this.#floor = from;
      this.#tellOpen(rawAt(from), final);
    }
    // What cannot be seen before the first character belongs to the text; behind a value it belongs to the value.
    let done = swallowed || this.#afterValue ? rawAt(from) : 0;
    let out = "";
    let valueEnd = swallowed ? from : -1;
    const { scanner, own } = this.#plan;
    scanner.begin(text, this.#low, from, high, final, Math.max(this.#low, this.#floor));
    let cursor = this.#swallow === undefined ? from : high;
    let settled = this.#swallow === undefined ? high : from;
    while (cursor < high) {
      const answer = scanner.next();
      const { found } = scanner;
      let { start, end } = found;
      let type: string = found.type;
      let matched = answer === MATCH;
      if (own !== undefined) {
        const limit = final ? high : high - own.longest;
        const mine = own.find(text, cursor, Math.min(start, limit), high);
        if (mine !== undefined) {
          ({ start, end, type } = mine);
          matched = true;
        } else if (start > limit) {
          settled = Math.max(cursor, limit);
          // "://" is where somebody looks, and stays whole.
          while (settled > cursor && isSchemeMark(text.charCodeAt(settled - 1))) settled--;
          break;
        }
      }
      if (!matched) {
        settled = answer === HOLD ? start : high;
        break;
      }
      out += raw.slice(done, rawAt(start)) + this.#tally.replace(type, text.slice(start, end));
      if (found.swallow !== undefined && type === found.type) {
        this.#swallow = found.swallow;
        end = this.#swallowed(text, end, final);
      }
      scanner.skipTo(end);
      done = rawAt(end);
      if (this.#onFound !== undefined) {
        this.#open = { type, start: this.#offset + rawAt(start) };
        this.#tellOpen(done, final);
      }
      this.#floor = end;
      valueEnd = end;
      cursor = this.#swallow === undefined ? end : high;
      settled = this.#swallow === undefined ? high : end;
    }
    const cut = rawAt(settled);
    out += raw.slice(done, cut);
    this.#pending = raw.slice(cut) + tail;
    this.#offset += cut;
    this.#invisible = settled === high ? invisible : 0;
    if (settled > base) this.#afterValue = valueEnd === settled;
    this.#remember(text, settled);
    return out;
  }

  #tellOpen(end: number, final: boolean): void {
    if (this.#open === undefined || (this.#swallow !== undefined && !final)) return;
    this.#onFound?.(this.#open.type, this.#open.start, this.#offset + end);
    this.#open = undefined;
  }

  #remember(text: string, settled: number): void {
    const from = Math.max(0, settled - HISTORY);
    this.#history = text.slice(from, settled);
    this.#low = Math.max(0, this.#low - from);
    this.#floor = Math.max(0, this.#floor - from);
  }

  /** What belongs to a value that was known by its beginning. @returns where it ends */
  #swallowed(text: string, from: number, final: boolean): number {
    let at = from;
    if (this.#swallow === "pem") {
      const rest = text.slice(from);
      const end = PEM_END.exec(rest);
      if (end !== null) {
        this.#swallow = undefined;
        return from + end.index + end[0].length;
      }
      // Its end may be cut in the middle: so much of it stays to be seen with what follows.
      return final ? text.length : Math.max(from, text.length - PEM_END_LONGEST);
    }
    const domain = this.#swallow === "domain";
    while (at < text.length && belongs(text.charCodeAt(at), domain)) at++;
    if (at < text.length || final) this.#swallow = undefined;
    return at;
  }
}

const isSchemeMark = (code: number): boolean => code === 0x3a || code === 0x2f;

function belongs(code: number, domain: boolean): boolean {
  if (domain) return (classOf(code) & DOMAIN) !== 0;
  return (classOf(code) & (LETTER | DIGIT)) !== 0 || code === 0x2d || code === 0x5f || code === 0x2e || code === 0x3d;
}
