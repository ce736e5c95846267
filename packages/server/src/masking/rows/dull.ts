import { wordsThatSay } from "../context.ts";
import type { MaskPlan } from "../plan.ts";
import type { PiiType } from "../types.ts";

/** Digits that a value of the type has at least; only these types are known by digits, "@" or capitals. */
const LEAST_DIGITS: ReadonlyMap<PiiType, number> = new Map([
  ...(["US_SSN", "US_ITIN", "US_EIN", "ABA_ROUTING", "CREDIT_CARD", "NPI"] as const).map((type): [PiiType, number] => [
    type,
    9,
  ]),
  ...(["PHONE", "IBAN"] as const).map((type): [PiiType, number] => [type, 7]),
  ...(["DATE_OF_BIRTH", "IP_ADDRESS"] as const).map((type): [PiiType, number] => [type, 4]),
  // No digits: by "@", and by capitals. Accounts: by a word before them, which is looked for apart.
  ...(["EMAIL", "PERSON", "US_BANK_ACCOUNT"] as const).map((type): [PiiType, number] => [
    type,
    Number.POSITIVE_INFINITY,
  ]),
]);
const ACCOUNT_DIGITS = 6;

/** Shorter than any value. */
const SHORTEST = 5;

/** Classes of bytes. */
const DIGIT = 1;
const TELLING = 2;
const LOWER = 3;
const CAPITAL = 4;
const CLASSES: Uint8Array = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  const char = String.fromCharCode(code);
  CLASSES[code] = /[0-9]/.test(char)
    ? DIGIT
    : /[@\\]/.test(char)
      ? TELLING
      : /[a-z]/.test(char)
        ? LOWER
        : /[A-Z]/.test(char)
          ? CAPITAL
          : 0;
}

/** Letters are numbered by the last five bits of their code: 1 to 26, large and small alike. */
const LETTERS = 32;
/** The state in which one of the words has been seen. */
const SAID = 1;
/** States by letters (Aho and Corasick, 1975): in which the words are found wherever they stand, parts of others too. */
const NEXT: Uint16Array = automaton(wordsThatSay("account"));

function automaton(words: readonly string[]): Uint16Array {
  const prefixes = ["", "(said)", ...new Set(words.flatMap((word) => [...word].map((_, i) => word.slice(0, i + 1))))];
  const table = new Uint16Array(prefixes.length * LETTERS);
  prefixes.forEach((prefix, state) => {
    for (let letter = 1; letter <= 26; letter++) {
      const text = prefix + String.fromCharCode(96 + letter);
      const ends = words.some((word) => text.endsWith(word));
      let rest = text;
      while (!prefixes.includes(rest)) rest = rest.slice(1);
      table[state * LETTERS + letter] = state === SAID || ends ? SAID : prefixes.indexOf(rest);
    }
  });
  return table;
}

/** Tells texts in which nothing can be that is looked for, in one pass over their bytes. */
export class DullTexts {
  /** So many digits may be a value, whatever stands before them; 0: no text can be told so quickly. */
  readonly #digits: number;
  /** So many may be one where a word says so. */
  readonly #saidDigits: number;
  /** Whether a word in the text that was looked at last says what a number is, as far as is known. */
  said = false;

  constructor({ wanted, own }: MaskPlan) {
    let least = own === undefined ? Number.POSITIVE_INFINITY : 0;
    for (const type of wanted) least = Math.min(least, LEAST_DIGITS.get(type) ?? 0);
    this.#digits = least;
    this.#saidDigits = wanted.has("US_BANK_ACCOUNT") ? ACCOUNT_DIGITS : Number.POSITIVE_INFINITY;
  }

  /**
   * Whether nothing in `[from, to)` has to be looked at.
   * @param saidBefore a word that counts for this text may stand before it
   */
  isDull(bytes: Uint8Array, from: number, to: number, saidBefore: boolean): boolean {
    const short = to - from < SHORTEST;
    let digits = 0;
    let state = 0;
    let said = false;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (byte > 0x7f) return this.#unclear();
      const kind = CLASSES[byte] as number;
      if (kind < LOWER) {
        state = 0;
        if (kind === DIGIT) digits++;
        else if (kind === TELLING && !short) return this.#unclear();
      } else {
        if (kind === CAPITAL && !short) return this.#unclear();
        state = NEXT[state * LETTERS + (byte & 31)] as number;
        if (state === SAID) said = true;
      }
    }
    this.said = said;
    return digits < this.#digits && (digits < this.#saidDigits || !(said || saidBefore));
  }

  /** Who has not seen all of it cannot say that nothing in it says something. */
  #unclear(): boolean {
    this.said = true;
    return false;
  }
}

/** Whether a name has one of the words that say what a number is. */
export function nameSays(name: string): boolean {
  let state = 0;
  for (const char of name.toLowerCase()) {
    state = /[a-z]/.test(char) ? (NEXT[state * LETTERS + (char.charCodeAt(0) & 31)] as number) : 0;
    if (state === SAID) return true;
  }
  return /[^\x20-\x7e]/.test(name);
}
