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

/** The last answer: what stands before it is not read again. −1: none of this text. */
const last = { at: -1, found: undefined as Context | undefined, start: 0, boundary: false };

/** Another text is looked at. */
export function forgetContext(): void {
  last.at = -1;
}

/** Words that say this, as people and programs write them, in lower case. */
export const wordsThatSay = (context: Context): readonly string[] => WORDS[context].split(" ");

/** What is known of the words before one place in a text, to be used for another text that begins like it. */
export type KnownContext = Readonly<typeof last>;
export const knownContext = (): KnownContext => ({ ...last });
export function recallContext(known: KnownContext): void {
  Object.assign(last, known);
}

/** What the nearest of these words before `at` says. */
export function contextBefore(text: string, at: number): Context | undefined {
  const low = Math.max(0, at - CONTEXT_REACH);
  const known = last.at >= 0 && last.at <= at;
  const from = known ? Math.max(low, last.at) : low;
  read.found = undefined;
  read.boundary = false;
  read.named = false;
  const stopped = readBackwards(text, at, from);
  let found = read.found as Context | undefined;
  let start = read.start;
  let boundary = read.boundary;
  // What was said before counts on, unless another member of a document has begun since.
  const carries = found === undefined && !stopped && known && last.found !== undefined && last.start >= low;
  if (carries && !(read.named && last.boundary)) {
    ({ found, start } = last);
    boundary ||= last.boundary;
  }
  last.at = at;
  last.found = found;
  last.start = start;
  last.boundary = boundary;
  return found;
}

/** What readBackwards has seen: a word, where it began; whether a member of a document began behind it; another word. */
const read = { found: undefined as Context | undefined, start: 0, boundary: false, named: false };

/** @returns true when nothing that stands further before can count; makes nothing on its way */
function readBackwards(text: string, at: number, from: number): boolean {
  let index = at - 1;
  while (index >= from) {
    const code = text.charCodeAt(index);
    // In JSON: what another member is called says nothing about this one, if this one has a name that says something.
    if (code === 0x2c && beginsMember(text, index + 1)) {
      if (read.named) return true;
      read.boundary = true;
    }
    if ((classOf(code) & LETTER) === 0) index--;
    else {
      const next = wordBackwards(text, index, from);
      if (next === FOUND) return true;
      index = next;
    }
  }
  return false;
}

const FOUND = -2;

/** A word and its humps, from its last letter on. @returns where to go on, or FOUND */
function wordBackwards(text: string, lastLetter: number, from: number): number {
  let index = lastLetter;
  let end = index + 1;
  let first = true;
  while (index >= from && (classOf(text.charCodeAt(index)) & LETTER) !== 0) {
    let hash = 0;
    do {
      const code = text.charCodeAt(index);
      hash = step(hash, code < 0x5b && code > 0x40 ? code + 32 : code);
      index--;
    } while (index >= from && !beginsHump(text, index));
    // One that is cut at the end of what is looked at is none.
    if ((index < 0 || beginsHump(text, index)) && lookUp(text, index + 1, end, hash)) return FOUND;
    if (first && !isGeneric(hash)) read.named = true;
    first = false;
    end = index + 1;
  }
  return index;
}

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

/** Whether this word says something: then it is in `read`. */
function lookUp(text: string, start: number, end: number, hash: number): boolean {
  if (end - start > LONGEST) return false;
  const list = hashes.get(hash);
  if (list === undefined) return false;
  const word = text.slice(start, end).toLowerCase();
  const found = list.find((one) => one.word === word)?.context;
  if (found === undefined) return false;
  read.found = found;
  read.start = start;
  return true;
}
