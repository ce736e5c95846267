import type { Answer, Found, View } from "./candidate.ts";
import { HOLD, MATCH, NONE } from "./candidate.ts";
import { classOf, DIGIT, LETTER } from "./chars.ts";
import { isAba, isCardNumber, isIssuer, isItin, isNpi, isSsn } from "./checks.ts";
import {
  count,
  DASH,
  digitsTo,
  endOf,
  firstFour,
  isDate,
  isDigit,
  joint,
  LOOSE,
  numberOf,
  POINT,
  readChain,
  SPACE,
  STRANGE,
  separators,
  shape,
  size,
  starts,
  totalOf,
} from "./digit-chain.ts";
import { endsThere, lookback, take } from "./number-view.ts";
import { phoneNumber } from "./phone.ts";
import type { PiiType } from "./types.ts";

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

function cards(view: View, found: Found): void {
  const start = starts[0] as number;
  const four = totalOf(count - 1) < 12 ? 0 : firstFour();
  for (let group = count - 1; group >= 0; group--) {
    const total = totalOf(group);
    if (total > 19) continue;
    if (total < 12) return;
    if (!isIssuer(four, total)) continue;
    if (!endsThere(view, endOf(group)) || isDecimal(view, group) || !isCardNumber(digitsTo(group))) continue;
    // Twelve and thirteen digits are too often something else.
    if (total < 14 && lookback.is !== "card") continue;
    if (total !== 16 && total !== 15 && group > 0 && !isCardGrouping(group) && lookback.is !== "card") continue;
    take(found, "CREDIT_CARD", start, endOf(group));
    return;
  }
}

function isCardGrouping(last: number): boolean {
  for (let group = 0; group <= last; group++) if (size(group) < 2 || size(group) > 7) return false;
  return true;
}

/** `1234.56`: two groups with a point between them are one number. */
const isDecimal = ({ text }: View, last: number): boolean =>
  last === 1 && separators[1] === POINT && text.charCodeAt((starts[0] as number) - 1) !== 0x28;

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
