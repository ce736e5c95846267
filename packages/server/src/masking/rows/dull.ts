import type { MaskPlan } from "../plan.ts";
import type { PiiType } from "../types.ts";

/** Digits that a value of the type has at least; only these types are known by digits, "@" or capitals. */
const LEAST_DIGITS: ReadonlyMap<PiiType, number> = new Map([
  ...(["US_SSN", "US_ITIN", "US_EIN", "ABA_ROUTING", "CREDIT_CARD", "NPI"] as const).map((type): [PiiType, number] => [
    type,
    9,
  ]),
  ...(["PHONE", "IBAN"] as const).map((type): [PiiType, number] => [type, 7]),
  ...(["US_BANK_ACCOUNT", "DATE_OF_BIRTH", "IP_ADDRESS"] as const).map((type): [PiiType, number] => [type, 4]),
  // No digits: by "@", and by capitals.
  ...(["EMAIL", "PERSON"] as const).map((type): [PiiType, number] => [type, Number.POSITIVE_INFINITY]),
]);

/** Shorter than any value. */
const SHORTEST = 5;

/**
 * How many digits a text may have and still hold nothing that is looked for, if it has neither capitals nor "@" nor anything but
 * ASCII; 0: no text can be told so quickly.
 */
export function dullDigits({ wanted, own }: MaskPlan): number {
  if (own !== undefined) return 0;
  let least = Number.POSITIVE_INFINITY;
  for (const type of wanted) least = Math.min(least, LEAST_DIGITS.get(type) ?? 0);
  return least;
}

/** Whether nothing in `[from, to)` has to be looked at: one pass over its bytes. @param digits as `dullDigits` says */
export function isDull(bytes: Buffer, from: number, to: number, digits: number): boolean {
  const short = to - from < SHORTEST;
  let seen = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x7f) return false;
    if (byte >= 0x30 && byte <= 0x39) {
      if (++seen >= digits) return false;
    } else if (((byte >= 0x41 && byte <= 0x5a) || byte === 0x40 || byte === 0x5c) && !short) return false;
  }
  return digits > 0;
}
