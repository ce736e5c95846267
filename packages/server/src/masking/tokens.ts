import { isIPv6 } from "node:net";
import type { Answer, Found, View } from "./candidate.ts";
import { HOLD, MATCH, NONE } from "./candidate.ts";
import { classOf, DIGIT, DOMAIN, HEX, LETTER, LOCAL, UPPER } from "./chars.ts";
import { ibanLength, isBase58Address, isCountry, isCusip, isIban } from "./checks.ts";
import { contextBefore } from "./context.ts";
import type { Wanted } from "./digits.ts";
import { MAX_MATCH, type PiiType } from "./types.ts";

/** Detectors of values that are one word, or whose beginning says what they are. Each is called where its sign stands. */

const isWord = (code: number): boolean => (classOf(code) & (LETTER | DIGIT)) !== 0;
const at = ({ text, high }: View, index: number): number => (index < high ? text.charCodeAt(index) : -1);
const has = (view: View, index: number, bits: number): boolean =>
  index < view.high && (classOf(view.text.charCodeAt(index)) & bits) !== 0;

function set(found: Found, type: PiiType, start: number, end: number, swallow?: Found["swallow"]): Answer {
  found.type = type;
  found.start = start;
  found.end = end;
  found.swallow = swallow;
  return MATCH;
}

function hold(found: Found, start: number): Answer {
  found.start = start;
  return HOLD;
}

/** Where the run of letters and digits that `index` is in begins; not before `floor`. */
function wordStart({ text, floor }: View, index: number): number {
  let start = index;
  while (start > floor && index - start < MAX_MATCH && isWord(text.charCodeAt(start - 1))) start--;
  return start;
}

/** Whether nothing of a word stands before it. */
const beginsWord = ({ text, low }: View, start: number): boolean => start <= low || !isWord(text.charCodeAt(start - 1));

/** Where a run of these characters ends; `high` at the latest. */
function runEnd(view: View, start: number, bits: number, longest: number): number {
  let end = start;
  while (end < view.high && end - start < longest && (classOf(view.text.charCodeAt(end)) & bits) !== 0) end++;
  return end;
}

const EMAIL_DOMAIN = /^(?:[\p{L}\d](?:[\p{L}\d-]{0,62}[\p{L}\d])?\.)+(?:xn--[a-z\d-]{2,20}|\p{L}{2,24})(?![\p{L}\d])/iu;

/** Two less than RFC 5321 allows, so that no more than 64 characters are ever held back. */
const MAX_LOCAL = 62;

/** @param sign where the "@" stands */
export function matchEmail(view: View, sign: number, found: Found): Answer {
  const { text, floor, high, final } = view;
  let start = sign;
  while (start > floor && sign - start <= MAX_LOCAL && (classOf(text.charCodeAt(start - 1)) & LOCAL) !== 0) start--;
  if (sign - start > MAX_LOCAL) return NONE;
  while (start < sign && !isWord(text.charCodeAt(start)) && text[start] !== "_") start++;
  if (start === sign) return NONE;
  const end = runEnd(view, sign + 1, DOMAIN, Math.max(1, MAX_MATCH - 1 - (sign - start)));
  if (end === high && !final) return hold(found, start);
  if (has(view, end, DOMAIN)) return set(found, "EMAIL", start, end, "domain");
  const domain = EMAIL_DOMAIN.exec(text.slice(sign + 1, end))?.[0];
  return domain === undefined ? NONE : set(found, "EMAIL", start, sign + 1 + domain.length);
}

/** `https://user:password@host`. @param colon of the "://" */
export function matchUrlCredentials(view: View, colon: number, found: Found): Answer {
  const { text, high, final } = view;
  if (!final && high - colon < 3 && "://".startsWith(text.slice(colon, high))) return hold(found, colon);
  if (at(view, colon + 1) !== 0x2f || at(view, colon + 2) !== 0x2f) return NONE;
  const start = colon + 3;
  let password = false;
  for (let index = start; index - start < MAX_MATCH; index++) {
    // The sign itself is held, too: without it nobody would look here again.
    if (index >= high) return final ? NONE : hold(found, colon);
    const code = text.charCodeAt(index);
    if (code === 0x40) return password && index > start + 1 ? set(found, "URL_CREDENTIALS", start, index) : NONE;
    if (code === 0x3a) password = true;
    if (code <= 0x20 || code === 0x2f || code === 0x3f || code === 0x23 || code === 0x22 || code === 0x3c) return NONE;
  }
  return NONE;
}

/** @param colon the first one of it. `found.end` says how far was looked, also where there is none. */
export function matchIpv6(view: View, colon: number, found: Found): Answer {
  const { text, floor, low, high, final } = view;
  let start = colon;
  while (start > floor && colon - start < 4 && (classOf(text.charCodeAt(start - 1)) & HEX) !== 0) start--;
  found.end = colon + 1;
  if (start > low && (isWord(text.charCodeAt(start - 1)) || text[start - 1] === ":")) return NONE;
  let end = colon;
  let colons = 0;
  for (; end < high && end - start < 46; end++) {
    const code = text.charCodeAt(end);
    if (code === 0x3a) colons++;
    else if (code !== 0x2e && (classOf(code) & HEX) === 0) break;
  }
  if (end === high && !final && end - start < 46) return hold(found, start);
  found.end = end;
  if (colons < 2 || has(view, end, LETTER | DIGIT)) return NONE;
  while (end > start && (text[end - 1] === "." || (text[end - 1] === ":" && text[end - 2] !== ":"))) end--;
  const address = text.slice(start, end);
  if (!/\d/.test(address) || address.length < 6 || !isIPv6(address)) return NONE;
  return set(found, "IP_ADDRESS", start, end);
}

/** Words that stand before "_" or "-" in the keys of well-known services. */
const KEY_PREFIXES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ...{ ghp_: 20, gho_: 20, ghu_: 20, ghs_: 20, ghr_: 20, github_pat_: 20, "glpat-": 20, npm_: 20, hf_: 20 },
    ...{ "sk-": 20, "pk-": 24, gsk_: 20, "pplx-": 20, "xoxb-": 16, "xoxp-": 16, "xoxa-": 16, "xoxr-": 16, "xoxs-": 16 },
    ...{ sk_live_: 16, sk_test_: 16, rk_live_: 16, pk_live_: 16, rk_test_: 16, whsec_: 20, dop_v1_: 20, shpat_: 20 },
    ...{ lin_api_: 20, hvs_: 20, "key-": 28, "sq0csp-": 20, "dapi-": 20, "tskey-": 16 },
  }),
);
const PREFIX_LONGEST = 11;

/** `sk-…`, `ghp_…`. @param sign where the "-" or "_" stands */
export function matchApiKey(view: View, sign: number, found: Found): Answer {
  const { text, floor, high, final, low } = view;
  let start = sign;
  while (
    start > floor &&
    sign - start < PREFIX_LONGEST &&
    (isWord(text.charCodeAt(start - 1)) || text[start - 1] === "_")
  ) {
    start--;
  }
  if (start > low && (isWord(text.charCodeAt(start - 1)) || text[start - 1] === "_")) return NONE;
  const least = KEY_PREFIXES.get(text.slice(start, sign + 1));
  if (least === undefined) return NONE;
  const first = sign + 1;
  let end = first;
  while (end < high && end - first < least && isToken(text.charCodeAt(end))) end++;
  if (end - first < least) return end === high && !final ? hold(found, start) : NONE;
  // `sk-` begins words, too.
  if (sign - start < 3 && !/\d/.test(text.slice(first, end))) return NONE;
  return set(found, "API_KEY", start, end, "token");
}

const isToken = (code: number): boolean => isWord(code) || code === 0x2d || code === 0x5f;

const PEM = "-----BEGIN ";

/** @param dash the first one of "-----BEGIN … PRIVATE KEY-----" */
export function matchPem(view: View, dash: number, found: Found): Answer {
  const { text, high, final } = view;
  const seen = text.slice(dash, Math.min(high, dash + MAX_MATCH));
  if (!(seen.length < PEM.length ? PEM.startsWith(seen) : seen.startsWith(PEM))) return NONE;
  const label = /^-----BEGIN (?:[A-Z\d]+ ){0,3}PRIVATE KEY-----/.exec(seen)?.[0];
  if (label !== undefined) return set(found, "PRIVATE_KEY", dash, dash + label.length, "pem");
  if (final || high - dash >= MAX_MATCH) return NONE;
  const rest = seen.slice(PEM.length);
  return seen.length < PEM.length || /^[A-Z\d -]*$/.test(rest) ? hold(found, dash) : NONE;
}

/** `eyJ…`: a header, as base64url of a JSON object begins. @param sign where the "J" stands */
export function matchJwt(view: View, sign: number, found: Found): Answer {
  const { text, floor, high, final } = view;
  const start = sign - 2;
  if (start < floor || text[start] !== "e" || text[start + 1] !== "y" || !beginsWord(view, start)) return NONE;
  let end = start;
  while (end < high && end - start < MAX_MATCH && isToken(text.charCodeAt(end))) end++;
  if (end === high && end - start < MAX_MATCH && !final) return hold(found, start);
  // A header ends with a point and a payload begins, or it is longer than could be anything else.
  if (end - start < MAX_MATCH && (at(view, end) !== 0x2e || end - start < 16)) return NONE;
  return set(found, "JWT", start, end, "token");
}

/** Keys of clouds, which begin with capitals. @param start the first of them */
export function matchCloudKey(view: View, start: number, found: Found): Answer {
  const { text, high, final } = view;
  const second = at(view, start + 1);
  if (
    second !== -1 &&
    second !== 0x4b &&
    second !== 0x53 &&
    second !== 0x52 &&
    second !== 0x49 &&
    second !== 0x47 &&
    second !== 0x4e
  )
    return NONE;
  const four = text.slice(start, Math.min(high, start + 4));
  const aws = AWS.some((prefix) => prefix.startsWith(four));
  const google = "AIza".startsWith(four);
  if ((!aws && !google) || !beginsWord(view, start)) return NONE;
  const length = google ? 39 : 20;
  let end = start;
  while (end < high && end - start <= length && (google ? isToken(text.charCodeAt(end)) : isWord(text.charCodeAt(end))))
    end++;
  if (end === high && !final && end - start <= length) return hold(found, start);
  if (end - start !== length || (aws && !/^[A-Z2-7\d]+$/.test(text.slice(start, end)))) return NONE;
  return set(found, "CLOUD_KEY", start, end);
}
const AWS = ["AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA"] as const;

/** `GB29 NWBK 6016 …`. @param digit the first of its check digits */
export function matchIban(view: View, digit: number, found: Found): Answer {
  const { text, high, final, floor } = view;
  const start = digit - 2;
  if (start < floor || !has(view, start, LETTER) || !has(view, start + 1, LETTER) || !beginsWord(view, start))
    return NONE;
  const length = ibanLength(text.slice(start, digit));
  if (length === undefined) return NONE;
  if (digit + 1 < high && (classOf(text.charCodeAt(digit + 1)) & DIGIT) === 0) return NONE;
  let end = start;
  let seen = 0;
  for (let index = start; seen < length; index++) {
    if (index >= high) return final || index - start >= MAX_MATCH ? NONE : hold(found, start);
    const code = text.charCodeAt(index);
    if (code < 128 && isWord(code)) {
      seen++;
      end = index + 1;
    } else if ((code !== 0x20 && code !== 0x2d && code !== 0x2e) || index > end) return NONE;
  }
  if (end >= high && !final) return hold(found, start);
  if (has(view, end, LETTER | DIGIT) || !isIban(text, start, end)) return NONE;
  return set(found, "IBAN", start, end);
}

/** Numbers with letters in them, and addresses of Bitcoin and Ethereum. @param digit the first digit of a word; `found.end` says how far was looked, also where there is nothing */
export function matchMixedWord(view: View, digit: number, wanted: Wanted, found: Found): Answer {
  const { text, high, final } = view;
  const start = wordStart(view, digit);
  const end = runEnd(view, digit, LETTER | DIGIT, MAX_MATCH);
  found.end = end;
  if (!beginsWord(view, start)) return NONE;
  if (end === high && !final && end - start < MAX_MATCH) return hold(found, start);
  if (end - start < 6 || end - start >= MAX_MATCH) return NONE;
  const word = text.slice(start, end);
  if (wanted.CRYPTO_ADDRESS && isCryptoAddress(word)) return set(found, "CRYPTO_ADDRESS", start, end);
  if (end - start > 16) return NONE;
  const asked = wanted.US_PASSPORT || wanted.US_DRIVER_LICENSE || wanted.CUSIP;
  if (!asked) return NONE;
  switch (contextBefore(text, start)) {
    case "passport":
      if (wanted.US_PASSPORT && /^(?:[A-Z]\d{8}|\d{9}|[A-Z]{2}\d{7})$/i.test(word))
        return set(found, "US_PASSPORT", start, end);
      break;
    case "licence":
      if (wanted.US_DRIVER_LICENSE && isLicence(word)) return set(found, "US_DRIVER_LICENSE", start, end);
      break;
    case "cusip":
      if (wanted.CUSIP && isCusip(word.toUpperCase())) return set(found, "CUSIP", start, end);
      break;
  }
  return NONE;
}

/** The forms of the states lie between six and sixteen characters; most of them are digits. */
const isLicence = (word: string): boolean => /^[A-Z]{0,3}\d{4,14}[A-Z]{0,3}$/i.test(word) && word.length >= 6;

function isCryptoAddress(word: string): boolean {
  if (/^0x[0-9a-f]{40}$/i.test(word)) return true;
  if (/^(?:bc1|tb1|ltc1)[ac-hj-np-z02-9]{25,60}$/.test(word)) return true;
  return /^[13][1-9A-HJ-NP-Za-km-z]{25,34}$/.test(word) && isBase58Address(word);
}

/** A BIC after a word that says so. @param start its first capital */
export function matchSwift(view: View, start: number, found: Found): Answer {
  const { text, high, final } = view;
  if (!beginsWord(view, start)) return NONE;
  let end = start;
  while (end < high && end - start <= 11 && has(view, end, UPPER | DIGIT)) end++;
  if (end === high && !final && end - start <= 11) return hold(found, start);
  const length = end - start;
  if ((length !== 8 && length !== 11) || has(view, end, LETTER | DIGIT)) return NONE;
  const word = text.slice(start, end);
  if (!/^[A-Z]{6}[A-Z\d]{2,5}$/.test(word) || !isCountry(word.slice(4, 6))) return NONE;
  if (contextBefore(text, start) !== "swift") return NONE;
  return set(found, "SWIFT_BIC", start, end);
}
