import { type Answer, type Found, HOLD, MATCH, NONE, type View } from "./candidate.ts";
import { ASCII_CLASSES, classOf, DIGIT, LETTER, LOCAL, TRIGGER, UPPER } from "./chars.ts";
import { forgetContext } from "./context.ts";
import { forgetChain, isInRow } from "./digit-chain.ts";
import { matchDigits, type Wanted } from "./digits.ts";
import { matchName, matchStreet, matchWrittenDate } from "./names.ts";
import {
  matchApiKey,
  matchCloudKey,
  matchEmail,
  matchIban,
  matchIpv6,
  matchJwt,
  matchMixedWord,
  matchPem,
  matchSwift,
  matchUrlCredentials,
} from "./tokens.ts";
import { MAX_MATCH, PII_TYPES, type PiiType } from "./types.ts";

/** Patterns of the operator's own, looked for beside the built-in detectors. */
export interface OwnPatterns {
  /** The longest match of any of them. */
  readonly longest: number;
  /** The first match that begins at or after `from` and before `to`; the text is to be taken as ending at `high`. */
  find(text: string, from: number, to: number, high: number): { type: string; start: number; end: number } | undefined;
}

/**
 * One pass over a text: signs (a digit, "@", a capital, ":", "-", "_") start candidates, validators confirm them. What cannot be
 * decided before more is seen is held: what comes before it is settled, and the same whatever comes after and wherever the text
 * was cut. Reused: `view` says what is looked at.
 */
export class Scanner {
  readonly view: View = { text: "", low: 0, floor: 0, high: 0, final: true };
  readonly found: Found = { type: "EMAIL", start: 0, end: 0, swallow: undefined };
  readonly #wanted: Wanted;
  readonly #streets: boolean;
  readonly #names: boolean;
  readonly #births: boolean;
  readonly #email: boolean;
  readonly #mixed: boolean;
  /** What detectors have said of one place so far. */
  #best: Answer = NONE;
  #bestStart = 0;
  #bestEnd = -1;
  #bestType: PiiType = "EMAIL";
  /** What is before it was given out. */
  #from = 0;
  /** Where to go on. */
  #at = 0;
  /** "::" and times: colons up to here were looked at. */
  #colonsSeen = 0;
  /** Words up to here are no number with letters. */
  #mixedSeen = 0;
  /** The word up to here is no e-mail address. */
  #noEmailBefore = 0;

  constructor(types: ReadonlySet<PiiType>) {
    const wanted = Object.fromEntries(PII_TYPES.map((type) => [type, types.has(type)])) as Wanted;
    this.#wanted = wanted;
    this.#streets = wanted.STREET_ADDRESS;
    this.#names = wanted.PERSON;
    this.#births = wanted.DATE_OF_BIRTH;
    this.#email = wanted.EMAIL;
    this.#mixed = (["CRYPTO_ADDRESS", "US_PASSPORT", "US_DRIVER_LICENSE", "CUSIP"] as const).some(
      (type) => wanted[type],
    );
  }

  /**
   * @param low what belongs to the text begins here; what stands before it is context alone
   * @param from what was not decided before begins here
   * @param floor the last match ended here
   */
  begin(text: string, low: number, from: number, high: number, final: boolean, floor: number = low): void {
    const { view } = this;
    view.text = text;
    view.low = low;
    view.floor = floor;
    this.#from = from;
    view.high = high;
    view.final = final;
    forgetContext();
    forgetChain();
    this.#at = from;
    this.#colonsSeen = from;
    this.#noEmailBefore = from;
    this.#mixedSeen = from;
  }

  /** What follows a match belongs to it, up to `at`. */
  skipTo(at: number): void {
    this.#at = at;
    this.view.floor = at;
    // What was looked at beyond it is looked at again.
    this.#colonsSeen = at;
    this.#noEmailBefore = at;
    this.#mixedSeen = at;
    forgetContext();
  }

  /**
   * The next match (`found`), or where to hold (`found.start`), or nothing more: then everything is settled up to
   * `found.start`.
   */
  next(): Answer {
    const { view, found } = this;
    const { text, high } = view;
    for (let at = this.#at; at < high; at++) {
      const code = text.charCodeAt(at);
      if (code >= 128 || ((ASCII_CLASSES[code] as number) & TRIGGER) === 0) continue;
      const answer = this.#look(code, at);
      if (answer === NONE || found.start < this.#from) {
        // A run of digits is looked at from its beginning alone.
        if (code >= 48 && code <= 57) {
          while (at + 1 < high && isDigit(text.charCodeAt(at + 1))) at++;
        }
        continue;
      }
      const whole = this.#email ? this.#emailAround(answer) : answer;
      if (whole === HOLD) return this.#hold(found.start);
      this.#at = found.end;
      view.floor = found.end;
      return MATCH;
    }
    return this.#hold(high);
  }

  #look(code: number, at: number): Answer {
    if (isDigit(code)) return this.#lookAtDigit(at);
    if (code >= 65 && code <= 90) return this.#lookAtCapital(at);
    const wanted = this.#wanted;
    const { view, found } = this;
    if (code === 0x40) return this.#email ? matchEmail(view, at, found) : NONE;
    if (code === 0x3a) {
      const url = wanted.URL_CREDENTIALS ? matchUrlCredentials(view, at, found) : NONE;
      if (url === MATCH || at < this.#colonsSeen || !wanted.IP_ADDRESS) return url;
      const ip = matchIpv6(view, at, found);
      if (ip !== HOLD) this.#colonsSeen = found.end;
      // An address begins before its first colon, and so is held from there.
      if (ip === NONE && url === HOLD) found.start = at;
      return ip === NONE ? url : ip;
    }
    if (code === 0x2d && wanted.PRIVATE_KEY && (at === view.low || view.text[at - 1] !== "-")) {
      const answer = matchPem(view, at, found);
      if (answer !== NONE) return answer;
    }
    return wanted.API_KEY ? matchApiKey(view, at, found) : NONE;
  }

  /** Several detectors may have a say: a match of one counts only when no other may still become a longer one. */
  #lookAtDigit(at: number): Answer {
    const { view, found } = this;
    const wanted = this.#wanted;
    this.#best = NONE;
    this.#bestEnd = -1;
    if (wanted.IBAN) this.#offer(matchIban(view, at, found));
    this.#offer(matchDigits(view, at, wanted, found));
    if (this.#mixed && at >= this.#mixedSeen) {
      const mixed = matchMixedWord(view, at, wanted, found);
      // All of its word was looked at.
      if (mixed === NONE) this.#mixedSeen = found.end;
      this.#offer(mixed);
    }
    if (this.#births) this.#offer(matchWrittenDate(view, at, found));
    if (this.#streets && !isInRow(at)) this.#offer(matchStreet(view, at, found));
    found.start = this.#bestStart;
    found.end = this.#bestEnd;
    found.type = this.#bestType;
    found.swallow = undefined;
    return this.#best;
  }

  #offer(answer: Answer): void {
    if (answer === NONE) return;
    const { start, end, type } = this.found;
    if (answer === HOLD) {
      // The earliest beginning, and never less than a match that begins before it.
      if (this.#best === NONE || start < this.#bestStart) this.#bestStart = start;
      this.#best = HOLD;
    } else if (this.#best !== HOLD && end > this.#bestEnd) {
      this.#best = MATCH;
      this.#bestStart = start;
      this.#bestEnd = end;
      this.#bestType = type;
    }
  }

  #lookAtCapital(at: number): Answer {
    const { view, found } = this;
    const wanted = this.#wanted;
    const { text, low } = view;
    if (text.charCodeAt(at) === 0x4a && at > low && text[at - 1] === "y") {
      return wanted.JWT ? matchJwt(view, at, found) : NONE;
    }
    const before = at > low ? text.charCodeAt(at - 1) : 0x20;
    if ((classOf(before) & (LETTER | DIGIT)) !== 0) return NONE;
    if (text.charCodeAt(at) === 0x41 && wanted.CLOUD_KEY) {
      const answer = matchCloudKey(view, at, found);
      if (answer !== NONE) return answer;
    }
    if (wanted.SWIFT_BIC && (at + 1 >= view.high || (classOf(text.charCodeAt(at + 1)) & UPPER) !== 0)) {
      const answer = matchSwift(view, at, found);
      if (answer !== NONE) return answer;
    }
    if (before !== 0x20) return NONE;
    if (this.#names && at > 1) {
      const answer = matchName(view, at, found);
      if (answer !== NONE) return answer;
    }
    return this.#births ? matchWrittenDate(view, at, found) : NONE;
  }

  /** What was found, or is held, may be a part of an e-mail address: `123-45-6789.joe@bank.example`. */
  #emailAround(answer: Answer): Answer {
    const { view, found } = this;
    const { text, floor, high, final } = view;
    const { start, end, type, swallow } = found;
    if (answer === MATCH && (type === "EMAIL" || type === "URL_CREDENTIALS")) return answer;
    const probe = answer === MATCH ? Math.max(start, end - 1) : start;
    if (probe < this.#noEmailBefore || (classOf(text.charCodeAt(probe)) & LOCAL) === 0) return answer;
    let from = probe;
    while (from > floor && probe - from <= MAX_MATCH && (classOf(text.charCodeAt(from - 1)) & LOCAL) !== 0) from--;
    let to = probe;
    while (to < high && to - from <= MAX_MATCH && (classOf(text.charCodeAt(to)) & LOCAL) !== 0) to++;
    if (to - from > MAX_MATCH) return answer;
    if (to === high && !final) {
      found.start = Math.min(start, from);
      return HOLD;
    }
    if (text[to] === "@") {
      const email = matchEmail(view, to, found);
      // A value that begins before the address's own word is not given up for it.
      if (email !== NONE && found.start <= start) return email;
    }
    this.#noEmailBefore = to;
    found.type = type;
    found.start = start;
    found.end = end;
    found.swallow = swallow;
    return answer;
  }

  /** Everything before `start` is settled, but for a word at the very end, which may go on to be an address. */
  #hold(start: number): Answer {
    const { view, found } = this;
    const { text, floor, high, final } = view;
    this.#at = high;
    if (final) {
      found.start = high;
      return NONE;
    }
    let word = high;
    while (word > floor && high - word <= MAX_MATCH && (classOf(text.charCodeAt(word - 1)) & LOCAL) !== 0) word--;
    if (high - word > MAX_MATCH) {
      // Too long for an address; but a key, or a number with letters, may begin at any of its joints.
      word = high;
      while (word > floor && high - word <= MAX_MATCH && (classOf(text.charCodeAt(word - 1)) & WORD_BITS) !== 0) word--;
      if (high - word > MAX_MATCH) word = high;
      word = Math.max(floor, Math.min(word, high - KEY_PREFIX));
    }
    // The opening of a telephone number.
    while (word > floor && high - word < MAX_MATCH && (text[word - 1] === "(" || text[word - 1] === "+")) word--;
    found.start = Math.max(floor, this.#from, Math.min(start, word));
    return found.start === high ? NONE : HOLD;
  }
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const WORD_BITS = LETTER | DIGIT;
/** The longest word that begins a key, and its sign. */
const KEY_PREFIX = 12;
