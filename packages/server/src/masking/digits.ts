import type { Answer, Found, View } from "./candidate.ts";
import { HOLD, MATCH, NONE } from "./candidate.ts";
import { classOf, DIGIT, LETTER } from "./chars.ts";
import { isAba, isCardNumber, isIssuer, isItin, isNpi, isSsn } from "./checks.ts";
import { type Context, contextBefore } from "./context.ts";
import type { PiiType } from "./types.ts";

/** A card whose digits stand one by one. */
const MAX_GROUPS = 19;
/** A chain of groups is looked at up to this length; the longest value (a card with separators) is shorter. */
const MAX_CHAIN = 48;
const MAX_SEPARATOR = 3;

/** What stands between two groups of digits. */
const SPACE = 1;
const DASH = 2;
const POINT = 3;
const SLASH = 4;
/** `)`, `) `, `)-` */
const CLOSING = 5;
/** ` (`, `(` */
const OPENING = 6;
/** `_` */
const UNDER = 7;
/** A dash or a point with spaces around. */
const LOOSE = 8;
const STRANGE = 9;

/**
 * Groups of digits with separators between them: `(044)688-7538`, `4111 1111 1111 1111`, `12/27/1947`. One of them is read again
 * and again: numbers are what detectors look at most.
 */
const starts = new Int32Array(MAX_GROUPS);
const ends = new Int32Array(MAX_GROUPS);
/** Digits up to and with each group. */
const totals = new Int32Array(MAX_GROUPS);
const separators = new Int8Array(MAX_GROUPS);
let count = 0;
let source = "";

const size = (group: number): number => (ends[group] as number) - (starts[group] as number);
const endOf = (group: number): number => ends[group] as number;
const totalOf = (group: number): number => totals[group] as number;

/** The digits of the groups up to this one. */
function digitsTo(group: number): string {
  let digits = "";
  for (let index = 0; index <= group; index++) digits += source.slice(starts[index], ends[index]);
  return digits;
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

function separatorOf(code: number): number {
  switch (code) {
    case 0x20:
      return SPACE;
    case 0x2d:
      return DASH;
    case 0x2e:
      return POINT;
    case 0x2f:
      return SLASH;
    case 0x28:
      return OPENING;
    case 0x29:
      return CLOSING;
    case 0x5f:
      return UNDER;
    default:
      return 0;
  }
}

/** What several characters between two groups are together. */
function joined(kind: number, next: number): number {
  if (kind === CLOSING && (next === SPACE || next === DASH)) return CLOSING;
  if (kind === SPACE && next === OPENING) return OPENING;
  if ((kind === SPACE && (next === DASH || next === POINT)) || ((kind === DASH || kind === LOOSE) && next === SPACE)) {
    return LOOSE;
  }
  return STRANGE;
}

/** Where the chain began that was read last, and whether nothing joins its last group. −1: another text is looked at. */
let chainStart = -1;
let chainEnded = false;

/** Another text is looked at. */
export function forgetChain(): void {
  chainStart = -1;
}

/** @returns false when it goes on beyond what can be seen */
function readChain({ text, high, final }: View, start: number): boolean {
  source = text;
  // Numbers stand in rows: what was read for the one before is read once.
  if (chainStart >= 0 && count > 1 && starts[1] === start) shiftChain();
  else {
    count = 0;
    chainEnded = false;
    readGroup(text, high, start, start, 0);
  }
  chainStart = start;
  while (!chainEnded && count < MAX_GROUPS) {
    const gap = endOf(count - 1);
    if (gap - start >= MAX_CHAIN) return true;
    let at = gap;
    let separator = 0;
    while (at < high && at - gap < MAX_SEPARATOR) {
      const kind = separatorOf(text.charCodeAt(at));
      if (kind === 0) break;
      separator = separator === 0 ? kind : joined(separator, kind);
      at++;
    }
    if (at === high) {
      chainStart = -1;
      return final;
    }
    if (at === gap || !isDigit(text.charCodeAt(at))) {
      chainEnded = true;
      return true;
    }
    readGroup(text, high, start, at, separator);
  }
  return true;
}

function readGroup(text: string, high: number, start: number, from: number, separator: number): void {
  let at = from;
  while (at < high && at - start < MAX_CHAIN && isDigit(text.charCodeAt(at))) at++;
  starts[count] = from;
  ends[count] = at;
  totals[count] = (count === 0 ? 0 : totalOf(count - 1)) + at - from;
  separators[count] = separator;
  count++;
}

/** The chain without its first group; a last one that was cut is read again. */
function shiftChain(): void {
  if (endOf(count - 1) - chainStart >= MAX_CHAIN) {
    count--;
    chainEnded = false;
  }
  const first = totalOf(0);
  count--;
  for (let group = 0; group < count; group++) {
    starts[group] = starts[group + 1] as number;
    ends[group] = ends[group + 1] as number;
    totals[group] = totalOf(group + 1) - first;
    separators[group] = separators[group + 1] as number;
  }
  separators[0] = 0;
}

/** What is wanted, by type: each costs time only where somebody asked for it. */
export type Wanted = Readonly<Record<PiiType, boolean>>;

/** Numbers of other kinds end here: nothing shorter is looked for. */
const LEAST_DIGITS = 4;

/**
 * Numbers that begin at a digit. `start` is the first digit of a run.
 * The longest value wins, and among equals the one with the stronger check.
 */
export function matchDigits(view: View, start: number, wanted: Wanted, found: Found): Answer {
  const { text } = view;
  const before = start > view.low ? text.charCodeAt(start - 1) : 0;
  if (isDigit(before) && start > view.floor) return NONE;
  // What follows the point of a number is no number of its own.
  if (before === 0x2e && start - 2 >= view.low && isDigit(text.charCodeAt(start - 2))) return NONE;
  if ((classOf(before) & LETTER) !== 0 && !isGluedWord(view, start)) return NONE;
  // The brackets and the plus of a telephone number.
  const opening = openingOf(view, start);
  if (!readChain(view, start)) {
    found.start = opening;
    return HOLD;
  }
  found.end = -1;
  if (totalOf(count - 1) < LEAST_DIGITS) return NONE;
  lookback.begin(view, opening);
  if (wanted.CREDIT_CARD) cards(view, found);
  identityNumbers(view, wanted, found);
  if (wanted.DATE_OF_BIRTH) dates(view, found);
  if (wanted.IP_ADDRESS) addresses(view, found);
  if (wanted.PHONE && phoneNumber(view, start, opening, found) === HOLD) {
    found.start = opening;
    return HOLD;
  }
  return found.end < 0 ? NONE : MATCH;
}

/** `card4111…`: letters that are a word, and no hexadecimal number. */
function isGluedWord({ text, low }: View, start: number): boolean {
  let at = start - 1;
  let hex = true;
  while (at >= low && start - at <= 20) {
    const code = text.charCodeAt(at) | 0x20;
    if ((classOf(text.charCodeAt(at)) & LETTER) === 0) break;
    if (code < 0x61 || code > 0x66) hex = false;
    at--;
  }
  const before = at >= low ? classOf(text.charCodeAt(at)) : 0;
  return start - at - 1 >= 3 && (before & DIGIT) === 0 && !hex;
}

function openingOf({ text, floor }: View, start: number): number {
  let at = start;
  if (at > floor && text.charCodeAt(at - 1) === 0x28) at--;
  if (at > floor && text.charCodeAt(at - 1) === 0x2b) at--;
  return at;
}

/** The words before a number, looked at once, and only if somebody asks. */
const lookback = {
  text: "",
  at: 0,
  asked: false,
  context: undefined as Context | undefined,
  begin({ text }: View, at: number): void {
    this.text = text;
    this.at = at;
    this.asked = false;
  },
  get is(): Context | undefined {
    if (!this.asked) {
      this.asked = true;
      this.context = contextBefore(this.text, this.at);
    }
    return this.context;
  },
};

function take(found: Found, type: PiiType, start: number, end: number): void {
  if (end <= found.end) return;
  found.type = type;
  found.start = start;
  found.end = end;
  found.swallow = undefined;
}

/** No further digit or letter is glued to its end, but for a word that is no hexadecimal number: `4111111111111111USD`. */
function endsThere({ text, high }: View, end: number): boolean {
  if (end >= high) return true;
  const code = text.charCodeAt(end);
  if ((classOf(code) & (DIGIT | LETTER)) === 0) return true;
  return (code >= 0x67 && code <= 0x7a) || (code >= 0x47 && code <= 0x5a);
}

function cards(view: View, found: Found): void {
  const start = starts[0] as number;
  const four = totalOf(count - 1) < 12 ? 0 : firstFour();
  for (let group = count - 1; group >= 0; group--) {
    const total = totalOf(group);
    if (total < 12) return;
    if (!isIssuer(four, total)) continue;
    if (total > 19 || !endsThere(view, endOf(group)) || isDecimal(view, group) || !isCardNumber(digitsTo(group)))
      continue;
    // Twelve and thirteen digits are too often something else.
    if (total < 14 && lookback.is !== "card") continue;
    if (total !== 16 && total !== 15 && group > 0 && !isCardGrouping(group) && lookback.is !== "card") continue;
    take(found, "CREDIT_CARD", start, endOf(group));
    return;
  }
}

function firstFour(): number {
  let value = 0;
  for (let group = 0, seen = 0; seen < 4 && group < count; group++) {
    for (let at = starts[group] as number; at < (ends[group] as number) && seen < 4; at++, seen++) {
      value = value * 10 + source.charCodeAt(at) - 48;
    }
  }
  return value;
}

function isCardGrouping(last: number): boolean {
  for (let group = 0; group <= last; group++) if (size(group) < 2 || size(group) > 7) return false;
  return true;
}

/** `1234.56`: two groups with a point between them are one number. */
const isDecimal = ({ text }: View, last: number): boolean =>
  last === 1 && separators[1] === POINT && text.charCodeAt((starts[0] as number) - 1) !== 0x28;

/** Sizes of the groups up to `last`, a decimal digit each: 3-2-4 is 324. Groups of more than nine, and long chains: −1. */
function shape(last: number): number {
  if (last > 4) return -1;
  let form = 0;
  for (let group = 0; group <= last; group++) {
    if (size(group) > 9) return -1;
    form = form * 10 + size(group);
  }
  return form;
}

/** The separator between all groups up to `last`, if it is one and the same; else 0. */
function joint(last: number): number {
  const first = separators[1] as number;
  for (let group = 2; group <= last; group++) if (separators[group] !== first) return 0;
  return first;
}

function identityNumbers(view: View, wanted: Wanted, found: Found): void {
  const start = starts[0] as number;
  for (let group = Math.min(2, count - 1); group >= 0; group--) {
    const end = endOf(group);
    const total = totalOf(group);
    if (total < 6 || total > 17 || !endsThere(view, end)) continue;
    const form = shape(group);
    if (total === 9 && (form === 324 || form === 9)) nineDigits(form, start, end, wanted, found);
    if ((form === 9 || (form === 27 && separators[1] === DASH)) && wanted.US_EIN && lookback.is === "ein") {
      take(found, "US_EIN", start, end);
    }
    if (total === 10 && group === 0 && wanted.NPI && lookback.is === "npi" && isNpi(digitsTo(0))) {
      take(found, "NPI", start, end);
    }
    if (wanted.US_BANK_ACCOUNT && isAccount(view, group, start)) take(found, "US_BANK_ACCOUNT", start, end);
    if (found.end >= end) return;
  }
}

function isAccount(view: View, group: number, start: number): boolean {
  const parts = joint(group);
  const form = group === 0 || parts === DASH || (parts === SPACE && size(0) >= 3);
  return form && !isDecimal(view, group) && lookback.is === "account" && !isMoney(view, start);
}

function nineDigits(form: number, start: number, end: number, wanted: Wanted, found: Found): void {
  const separator = form === 324 ? joint(2) : 0;
  if (form === 324 && (separator === 0 || separator === STRANGE || separator > LOOSE)) return;
  // The form with dashes is an SSN's own; everything else needs a word.
  const own = separator === DASH;
  const digits = digitsTo(form === 324 ? 2 : 0);
  if (form === 9 && wanted.ABA_ROUTING && isAba(digits) && lookback.is === "aba") {
    take(found, "ABA_ROUTING", start, end);
    return;
  }
  if (wanted.US_SSN && isSsn(digits) && (lookback.is === "ssn" || (own && lookback.is !== "other"))) {
    take(found, "US_SSN", start, end);
    return;
  }
  if (!wanted.US_ITIN || !isItin(digits)) return;
  const asked = lookback.is === "itin" || lookback.is === "ssn" || lookback.is === "ein";
  if (asked || own) take(found, "US_ITIN", start, end);
}

const isMoney = ({ text, low }: View, start: number): boolean =>
  start > low && /[$€£¥]\s?$/.test(text.slice(Math.max(low, start - 2), start));

/** Which group is the year, by the sizes: 4-2-2 begins with it, all others end with it. */
const DATE_FORMS: ReadonlySet<number> = new Set([114, 124, 214, 224, 112, 122, 212, 222, 422, 411, 412, 421]);

const numberOf = (group: number): number => Number(source.slice(starts[group], ends[group]));

/** The first three groups are a date, day and month in either order. */
function isDate(): boolean {
  if (count < 3) return false;
  const form = shape(2);
  const separator = joint(2);
  if (!DATE_FORMS.has(form) || (separator !== DASH && separator !== SLASH && separator !== POINT)) return false;
  const yearFirst = form >= 400;
  const one = numberOf(yearFirst ? 1 : 0);
  const two = numberOf(yearFirst ? 2 : 1);
  return one >= 1 && two >= 1 && Math.max(one, two) <= 31 && Math.min(one, two) <= 12;
}

function dates(view: View, found: Found): void {
  if (isDate() && lookback.is === "dob" && endsThere(view, endOf(2))) {
    take(found, "DATE_OF_BIRTH", starts[0] as number, endOf(2));
  }
}

/** Addresses of the fourth version of IP; four numbers of a version are none. */
function addresses({ text, high }: View, found: Found): void {
  if (count < 4 || joint(3) !== POINT || (count > 4 && separators[4] === POINT)) return;
  const end = endOf(3);
  if (end < high && (classOf(text.charCodeAt(end)) & (DIGIT | LETTER)) !== 0) return;
  for (let group = 0; group < 4; group++) {
    if (
      size(group) > 3 ||
      numberOf(group) > 255 ||
      (size(group) > 1 && text.charCodeAt(starts[group] as number) === 48)
    )
      return;
  }
  const start = starts[0] as number;
  if (totalOf(3) <= 6 && lookback.is === "version") return;
  if (start > 0 && (text.charCodeAt(start - 1) | 0x20) === 0x76) return;
  take(found, "IP_ADDRESS", start, end);
}

/** So many characters behind a number may have to be seen: `-Office`, ` x62406`. */
const PHONE_TAIL = 14;
const EXTENSION = /^ ?(?:x|ext\.?|extension) ?\d{1,6}(?![\dA-Za-z])/i;
const AFTER = /^[\s,\-:(]{0,3}\(?(?:office|mobile|fax|home|cell|phone|tel)(?![a-z])/i;

function phoneNumber(view: View, start: number, opening: number, found: Found): Answer {
  const last = lastPhoneGroup();
  if (last < 0) return NONE;
  const { text, high, final } = view;
  const end = endOf(last);
  if (end <= found.end) return NONE;
  const total = totalOf(last);
  const bracket = opening < start && text.charCodeAt(start - 1) === 0x28 && separators[1] === CLOSING && last > 0;
  const plus = text.charCodeAt(opening) === 0x2b;
  // `02.27.96.63.08` is no date that goes on.
  const date = isDate() && (count === 3 || separators[3] !== separators[1]);
  if (date || isDotted(last)) return NONE;
  const sure =
    (plus && total >= 8) ||
    (bracket && total >= 7) ||
    (isUsForm(last) && lookback.is !== "other" && lookback.is !== "account");
  const could = last > 0 || total >= 7;
  if (!sure && !could) return NONE;
  if (!final && high - end < PHONE_TAIL) return HOLD;
  const follows = mayFollow(text, end, high);
  if (!sure && !follows && lookback.is !== "phone") return NONE;
  const tail = follows ? text.slice(end, Math.min(high, end + PHONE_TAIL)) : "";
  const extension = follows ? (EXTENSION.exec(tail)?.[0].length ?? 0) : 0;
  if (extension === 0 && !endsThere(view, end)) return NONE;
  if (
    !sure &&
    extension === 0 &&
    !(could && (lookback.is === "phone" || (mayFollow(text, end, high) && AFTER.test(tail))))
  )
    return NONE;
  take(found, "PHONE", opening, end + extension);
  return NONE;
}

/** Quickly: whether a word of those that follow telephone numbers may begin here. */
function mayFollow(text: string, end: number, high: number): boolean {
  for (let at = end; at < high && at < end + 5; at++) {
    const code = text.charCodeAt(at) | 0x20;
    if (code >= 0x61 && code <= 0x7a) {
      return (
        code === 0x78 ||
        code === 0x65 ||
        code === 0x6f ||
        code === 0x6d ||
        code === 0x66 ||
        code === 0x68 ||
        code === 0x63 ||
        code === 0x70 ||
        code === 0x74
      );
    }
  }
  return false;
}

/** Four short groups with points are an address or a version. */
function isDotted(last: number): boolean {
  if (last !== 3 || joint(3) !== POINT || totalOf(3) > 12) return false;
  for (let group = 0; group <= 3; group++) if (size(group) > 3) return false;
  return true;
}

/** The last group with which there are at most fifteen digits (E.164), and nothing but one separator or a bracket between. */
function lastPhoneGroup(): number {
  let last = -1;
  for (let group = 0; group < count; group++) {
    const separator = separators[group] as number;
    if (group > 0 && (separator === UNDER || separator === LOOSE || separator === STRANGE)) break;
    if (totalOf(group) > 15) break;
    last = group;
  }
  while (last > 0 && size(last) < 2) last--;
  return last >= 0 && totalOf(last) >= 6 ? last : -1;
}

/** `212-555-0147`, `1-212-555-0147`, `001 212.555.0147`: of North America, and many write theirs so. */
function isUsForm(last: number): boolean {
  const separator = separators[last];
  if (separator !== DASH && separator !== POINT) return false;
  const form = shape(last);
  return form === 334 || form === 1334 || form === 3334;
}
