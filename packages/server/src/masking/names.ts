import type { Answer, Found, View } from "./candidate.ts";
import { HOLD, MATCH, NONE } from "./candidate.ts";
import { classOf, DIGIT, LETTER, UPPER } from "./chars.ts";
import { contextBefore } from "./context.ts";

/**
 * Names, streets and written dates in running text, as far as their surroundings say so: after a title ("Dr. Ada Byron"), after
 * words that announce a name ("my name is …"), a number before words that end like a street. Names that stand alone in a text are
 * not found: that takes a model (an analyzer).
 */

const MAX = 60;
const MAX_WORD = 22;

const TITLES: ReadonlySet<string> = new Set("mr mrs ms miss mx dr prof professor sir madam mister".split(" "));
/** A name follows these, with the colon or without it. */
const CUES: ReadonlySet<string> = new Set(
  "named applicant borrower customer holder accountholder beneficiary cardholder dear payee patient guarantor co-signer cosigner signed".split(
    " ",
  ),
);
/** And these only with what stands here before or after them. */
const NAME_IS = /name (?:is|was)$/i;
const SIGNED = /(?:regards|sincerely),$/i;

const NOT_NAMES: ReadonlySet<string> = new Set(
  (
    "I The A An This That It We You Your My Our He She They Is Are Was Has Have Please Sir Madam Customer Team All Score Id ID " +
    "Account Number Data Service Support No Yes Not Street Road Avenue Mr Mrs Ms Miss Mx Dr Prof Professor"
  ).split(" "),
);
/** A name ends before them. */
const AFTER_NAMES: ReadonlySet<string> = new Set("Apt Suite Unit Floor Box Street Road Avenue".split(" "));
const PARTICLES: ReadonlySet<string> = new Set("van von de der den da di du la le el al bin of".split(" "));

const isLetter = (code: number): boolean => (classOf(code) & LETTER) !== 0;
const isUpper = (code: number): boolean =>
  code < 128 ? (classOf(code) & UPPER) !== 0 : isLetter(code) && /\p{Lu}/u.test(String.fromCharCode(code));

/** @param start a capital with a space before it */
export function matchName(view: View, start: number, found: Found): Answer {
  const { text, high, final } = view;
  if (!isAnnounced(text, start)) return NONE;
  let end = start;
  let at = start;
  for (let words = 0; words < 4; ) {
    const from = at;
    while (at < high && at - from < MAX_WORD && isNameLetter(text.charCodeAt(at))) at++;
    if (at >= high && !final && at - start < MAX) return hold(found, start);
    const word = text.slice(from, at);
    if (isUpper(text.charCodeAt(from))) {
      if (words === 0 && NOT_NAMES.has(word)) return NONE;
      if (AFTER_NAMES.has(word)) break;
      words++;
      end = at;
      // An initial's point belongs to the name, a sentence's does not.
      if (at - from === 1 && at < high && text.charCodeAt(at) === 0x2e) end = ++at;
    } else if (!PARTICLES.has(word)) break;
    if (at - start >= MAX || at >= high) break;
    if (text.charCodeAt(at) !== 0x20) break;
    at++;
  }
  if (at >= high && !final && at - start < MAX) return hold(found, start);
  return end - start < 2 ? NONE : set(found, "PERSON", start, end);
}

const isNameLetter = (code: number): boolean => isLetter(code) || code === 0x27 || code === 0x2d || code === 0x2019;

function isAnnounced(text: string, start: number): boolean {
  let at = start - 2;
  const mark = at < 0 ? 0 : text.charCodeAt(at);
  const marked = mark === 0x2e || mark === 0x3a || mark === 0x2c;
  if (marked) at--;
  const end = at + 1;
  while (at >= 0 && end - at < 15 && (isLetter(text.charCodeAt(at)) || text.charCodeAt(at) === 0x2d)) at--;
  if (end - at - 1 < 2) return false;
  const word = text.slice(at + 1, end).toLowerCase();
  if (TITLES.has(word)) return mark !== 0x2c && mark !== 0x3a;
  if (mark !== 0x2e && CUES.has(word)) return true;
  if (word === "name") return mark === 0x3a;
  if (word === "is" || word === "was") return !marked && NAME_IS.test(text.slice(Math.max(0, start - 10), start - 1));
  return mark === 0x2c && SIGNED.test(text.slice(Math.max(0, start - 12), start - 1));
}

function hold(found: Found, start: number): Answer {
  found.start = start;
  return HOLD;
}

function set(found: Found, type: Found["type"], start: number, end: number): Answer {
  found.type = type;
  found.start = start;
  found.end = end;
  found.swallow = undefined;
  return MATCH;
}

const SUFFIXES: ReadonlySet<string> = new Set(
  (
    "Street St Avenue Ave Road Rd Boulevard Blvd Lane Ln Drive Dr Court Ct Way Place Pl Terrace Ter Circle Cir Highway Hwy Parkway " +
    "Pkwy Square Sq Trail Trl Loop Alley Aly Crescent Close"
  ).split(" "),
);
const UNIT = /^\.?(?: [NSEW]{1,2}(?![\p{L}\d]))?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl)\.? #?\w{1,6})?/u;
const UNIT_LONGEST = 28;

/** @param start the first digit of the house's number */
export function matchStreet(view: View, start: number, found: Found): Answer {
  const { text, high, final } = view;
  if (start > view.low && isLetter(text.charCodeAt(start - 1))) return NONE;
  let at = start;
  while (at < high && at - start < 7 && (classOf(text.charCodeAt(at)) & DIGIT) !== 0) at++;
  if (at - start > 6) return NONE;
  if (at < high && isLetter(text.charCodeAt(at))) at++;
  let street = -1;
  for (let words = 0; words < 6; words++) {
    if (at >= high) return final ? NONE : hold(found, start);
    if (text.charCodeAt(at) !== 0x20) return NONE;
    const from = ++at;
    while (at < high && at - from < MAX_WORD && isStreetLetter(text.charCodeAt(at))) at++;
    if (at >= high && !final) return hold(found, start);
    const first = from < high ? text.charCodeAt(from) : 0;
    // Capitals, or "5th": everything else is no street's name.
    const ordinal = (classOf(first) & DIGIT) !== 0;
    // `14 3684 Court Street`: one number more, and no more.
    const number = ordinal && (words === 0 || isLetter(text.charCodeAt(at - 1)));
    if (!isUpper(first) && !number) return NONE;
    let end = at;
    if (text.charCodeAt(end - 1) === 0x2e) end--;
    if (words > 0 && SUFFIXES.has(text.slice(from, end))) {
      street = end;
      break;
    }
    if (at - start > MAX - UNIT_LONGEST) return NONE;
  }
  if (street < 0) return NONE;
  if (!final && high - street < UNIT_LONGEST) return hold(found, start);
  return set(
    found,
    "STREET_ADDRESS",
    start,
    street + (UNIT.exec(text.slice(street, Math.min(high, street + UNIT_LONGEST)))?.[0].length ?? 0),
  );
}

const isStreetLetter = (code: number): boolean =>
  (classOf(code) & (LETTER | DIGIT)) !== 0 || code === 0x27 || code === 0x2d || code === 0x2e || code === 0x2019;

const MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December";
const SHORT = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec";
const MONTH_FIRST = new RegExp(String.raw`^(?:${MONTHS}|(?:${SHORT})\.?) \d{1,2}(?:st|nd|rd|th)?,? \d{4}(?!\d)`);
const DAY_FIRST = new RegExp(String.raw`^\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:${MONTHS}|(?:${SHORT})\.?),? \d{4}(?!\d)`);
/** First two letters of the months. */
const MONTH_STARTS: ReadonlySet<number> = new Set(
  ["Ja", "Fe", "Ma", "Ap", "Ju", "Au", "Se", "Oc", "No", "De"].map(two),
);
const WRITTEN = /^[A-Za-z\d., ]*$/;
const DATE_MAX = 30;

function two(text: string): number {
  return text.charCodeAt(0) * 256 + text.charCodeAt(1);
}

/** A written date after a word that says that it is one of birth. @param start its first letter or digit */
export function matchWrittenDate(view: View, start: number, found: Found): Answer {
  const { text, high, final } = view;
  const letter = text.charCodeAt(start) > 57;
  if (letter) {
    if (start + 1 < high && !MONTH_STARTS.has(text.charCodeAt(start) * 256 + text.charCodeAt(start + 1))) return NONE;
  } else if (!mayBeDay(text, start, high)) return NONE;
  if (contextBefore(text, start) !== "dob") return NONE;
  const seen = text.slice(start, Math.min(high, start + DATE_MAX));
  if (!final && high - start < DATE_MAX && WRITTEN.test(seen)) return hold(found, start);
  const date = (letter ? MONTH_FIRST : DAY_FIRST).exec(seen)?.[0];
  return date === undefined ? NONE : set(found, "DATE_OF_BIRTH", start, start + date.length);
}

/** A day of a month, and then "th", or a space and a capital or "of". */
function mayBeDay(text: string, start: number, high: number): boolean {
  let at = start + 1;
  if (at < high && (classOf(text.charCodeAt(at)) & DIGIT) !== 0) {
    if (text.charCodeAt(start) > 0x33) return false;
    at++;
  }
  if (at >= high) return true;
  const code = text.charCodeAt(at);
  if (code !== 0x20) return code === 0x73 || code === 0x6e || code === 0x72 || code === 0x74;
  if (at + 1 >= high) return true;
  const next = text.charCodeAt(at + 1);
  return next === 0x6f || (classOf(next) & UPPER) !== 0;
}
