import { classOf, LETTER, UPPER } from "./chars.ts";

/** Kinds of value that have no form of their own, and so are known by words before them. */
export type Context =
  | "ssn"
  | "itin"
  | "ein"
  | "aba"
  | "account"
  | "swift"
  | "cusip"
  | "passport"
  | "licence"
  | "phone"
  | "dob"
  | "npi"
  | "card"
  | "version"
  | "other";

/** So far before a value a word may stand that says what it is. */
export const CONTEXT_REACH = 64;

/**
 * Words of people, and of programs, whose names are read by their humps (`socialSecurityNumber`, `acct_no`).
 * `other`: words after which a number is surely something else. Words that are not here say nothing.
 */
const WORDS: Readonly<Record<Context, string>> = {
  ssn: "ssn ssns social socsec socialsecurity socialsecuritynumber ssnnumber ssnlast",
  itin: "itin taxpayer",
  ein: "ein fein tin tax employer taxid",
  aba: "routing aba rtn transit fedwire routingnumber abanumber",
  account:
    "account accounts acct accts accountnumber acctnumber accountno acctno checking savings dda iban beneficiary bankaccount",
  swift: "swift bic swiftcode biccode swiftbic",
  cusip: "cusip cusips",
  passport: "passport passports passportnumber passportno",
  licence:
    "license licence licenses licences driver drivers driving dl dln driverslicense driverlicense licensenumber licenseno",
  phone:
    "phone phones telephone tel mobile cell cellphone fax call called calling reach dial dialled dialed answering whatsapp sms hotline msisdn contact phonenumber mobilenumber phoneno",
  dob: "dob birth birthdate birthday born dateofbirth birthdt",
  npi: "npi npis npinumber",
  card: "card cards credit debit cc pan visa mastercard amex maestro cvv creditcard cardnumber cardno ccnumber",
  version: "version v release section chapter clause firmware build",
  other:
    "order orders invoice tracking ticket sku isbn serial transaction request trace batch timestamp epoch zip zipcode postal reference",
};

const hashes = new Map<number, { readonly word: string; readonly context: Context }[]>();
/** From its last letter to its first, as texts are read here: backwards. */
function hashOf(word: string): number {
  let hash = 0;
  for (let at = word.length - 1; at >= 0; at--) hash = step(hash, word.charCodeAt(at));
  return hash;
}
const step = (hash: number, lower: number): number => (Math.imul(hash, 31) + lower) | 0;
for (const [context, words] of Object.entries(WORDS)) {
  for (const word of words.split(" ")) {
    const list = hashes.get(hashOf(word)) ?? [];
    hashes.set(hashOf(word), list);
    list.push({ word, context: context as Context });
  }
}
const LONGEST = Math.max(...Object.values(WORDS).flatMap((words) => words.split(" ").map((word) => word.length)));

/** The last answer: numbers stand in rows, and what is said of one is said of the next. −1: none of this text. */
const last = { at: -1, found: undefined as Context | undefined, start: 0 };

/** Another text is looked at. */
export function forgetContext(): void {
  last.at = -1;
}

/** What the nearest of these words before `at` says. */
export function contextBefore(text: string, at: number): Context | undefined {
  if (last.at >= 0 && last.at <= at && (last.found === undefined || last.start >= at - CONTEXT_REACH)) {
    let index = last.at;
    while (index < at && (classOf(text.charCodeAt(index)) & LETTER) === 0) index++;
    if (index === at) {
      last.at = at;
      return last.found;
    }
  }
  last.found = readBackwards(text, at);
  last.at = at;
  last.start = wordAt;
  return last.found;
}

/** Where the word began that was found last. */
let wordAt = 0;

/** Makes nothing on its way. */
function readBackwards(text: string, at: number): Context | undefined {
  const from = Math.max(0, at - CONTEXT_REACH);
  let index = at - 1;
  let named = false;
  while (index >= from) {
    const code = text.charCodeAt(index);
    // In JSON: what another member is called says nothing about this one, if this one has a name that says something.
    if (named && code === 0x2c && beginsMember(text, index + 1)) return undefined;
    // The end of a word.
    if ((classOf(code) & LETTER) === 0) {
      index--;
      continue;
    }
    const end = index + 1;
    named = true;
    let hash = 0;
    for (;;) {
      const code = text.charCodeAt(index);
      hash = step(hash, code < 0x5b && code > 0x40 ? code + 32 : code);
      index--;
      // Each hump is a word, and so is all of it.
      if (index < from ? beginsThere(text, from) : beginsHump(text, index)) {
        const found = lookUp(text, index + 1, end, hash);
        if (found !== undefined) return found;
        if (isGeneric(hash)) named = false;
      }
      if (index < from || (classOf(text.charCodeAt(index)) & LETTER) === 0) break;
      if (beginsHump(text, index)) {
        const again = humpsBefore(text, index, from);
        if (again !== undefined) return again;
      }
    }
  }
  return undefined;
}

/** A word that is cut at the end of what is looked at is none. */
const beginsThere = (text: string, from: number): boolean => from === 0 || beginsHump(text, from - 1);

/** Whether a word begins right after `index`: nothing of a word is there, or a hump ends. */
function beginsHump(text: string, index: number): boolean {
  const here = classOf(text.charCodeAt(index));
  if ((here & LETTER) === 0) return true;
  const next = classOf(text.charCodeAt(index + 1));
  if ((next & UPPER) === 0) return false;
  if ((here & UPPER) === 0) return true;
  const afterNext = classOf(text.charCodeAt(index + 2));
  return (afterNext & LETTER) !== 0 && (afterNext & UPPER) === 0;
}

/** Names of members that say nothing of what they hold: what stands beside them may. */
const GENERIC: ReadonlySet<number> = new Set(
  "value val number no num text content data string v".split(" ").map(hashOf),
);
const isGeneric = (hash: number): boolean => GENERIC.has(hash);

/** A quote, perhaps after spaces. */
function beginsMember(text: string, at: number): boolean {
  let index = at;
  while (text.charCodeAt(index) === 0x20 || text.charCodeAt(index) === 0x0a) index++;
  return text.charCodeAt(index) === 0x22;
}

/** The single humps before one that said nothing, from the nearest on. */
function humpsBefore(text: string, last: number, from: number): Context | undefined {
  let index = last;
  while (index >= from && (classOf(text.charCodeAt(index)) & LETTER) !== 0) {
    const end = index + 1;
    let hash = 0;
    do {
      const code = text.charCodeAt(index);
      hash = step(hash, code < 0x5b && code > 0x40 ? code + 32 : code);
      index--;
    } while (index >= from && !beginsHump(text, index));
    if (index < from && !beginsThere(text, from)) return undefined;
    const found = lookUp(text, index + 1, end, hash);
    if (found !== undefined) return found;
  }
  return undefined;
}

function lookUp(text: string, start: number, end: number, hash: number): Context | undefined {
  if (end - start > LONGEST) return undefined;
  const list = hashes.get(hash);
  if (list === undefined) return undefined;
  wordAt = start;
  const word = text.slice(start, end).toLowerCase();
  return list.find((one) => one.word === word)?.context;
}
