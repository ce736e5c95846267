import { hash } from "node:crypto";

/** Checks over digits as text. */

export function luhn(digits: string): boolean {
  let sum = 0;
  let twice = false;
  for (let i = digits.length - 1; i >= 0; i--) {
    let value = digits.charCodeAt(i) - 48;
    if (twice) {
      value *= 2;
      if (value > 9) value -= 9;
    }
    sum += value;
    twice = !twice;
  }
  return sum % 10 === 0;
}

/** Issuer ranges (ISO/IEC 7812) of cards that banks meet, with the lengths that they have. */
export function isCardNumber(digits: string): boolean {
  const { length } = digits;
  return length >= 12 && length <= 19 && isIssued(digits, length) && luhn(digits) && !/^(\d)\1*$/.test(digits);
}

const isIssued = (digits: string, length: number): boolean => isIssuer(Number(digits.slice(0, 4)), length);

/** @param four the first four digits, as a number */
export function isIssuer(four: number, length: number): boolean {
  const two = Math.trunc(four / 100);
  if (four >= 4_000 && four <= 4_999) return length === 13 || length === 16 || length === 19;
  if ((two >= 51 && two <= 55) || (four >= 2_221 && four <= 2_720)) return length === 16;
  if (two === 34 || two === 37) return length === 15;
  if (two === 36 || two === 38 || two === 39 || (four >= 3_000 && four <= 3_059) || four === 3_095)
    return length >= 14 && length <= 19;
  if (four === 6_011 || two === 65 || (four >= 6_440 && four <= 6_499)) return length >= 16;
  if (four >= 3_528 && four <= 3_589) return length >= 16;
  if (two === 62 || two === 81) return length >= 16;
  if (four >= 2_200 && four <= 2_204) return length >= 16;
  if (two === 60 || two === 63 || two === 67 || two === 50 || (two >= 56 && two <= 58)) return true;
  return false;
}

/** Social security numbers that may have been given: SSA's rules since 2011, without those once printed in advertisements. */
export function isSsn(digits: string): boolean {
  const area = digits.slice(0, 3);
  return (
    digits.length === 9 &&
    area !== "000" &&
    area !== "666" &&
    area < "900" &&
    digits.slice(3, 5) !== "00" &&
    digits.slice(5) !== "0000"
  );
}

/** Individual taxpayer numbers: 9xx, and in the middle 50–65, 70–88, 90–92, 94–99. */
export function isItin(digits: string): boolean {
  const middle = Number(digits.slice(3, 5));
  return (
    digits.length === 9 &&
    digits[0] === "9" &&
    ((middle >= 50 && middle <= 65) ||
      (middle >= 70 && middle <= 88) ||
      (middle >= 90 && middle <= 99 && middle !== 93)) &&
    digits.slice(5) !== "0000"
  );
}

/** ABA routing numbers: weights 3, 7, 1 and a Federal Reserve prefix. */
export function isAba(digits: string): boolean {
  if (digits.length !== 9) return false;
  const prefix = Number(digits.slice(0, 2));
  const given = prefix <= 12 || (prefix >= 21 && prefix <= 32) || (prefix >= 61 && prefix <= 72) || prefix === 80;
  let sum = 0;
  for (let i = 0; i < 9; i++) sum += (digits.charCodeAt(i) - 48) * ([3, 7, 1][i % 3] as number);
  return given && sum % 10 === 0 && digits !== "000000000";
}

/** National provider identifiers: Luhn over 80840 and the number. */
export const isNpi = (digits: string): boolean =>
  digits.length === 10 && (digits[0] === "1" || digits[0] === "2") && luhn(`80840${digits}`);

/** CUSIP: modulus 10 double add double over letters and digits. */
export function isCusip(text: string): boolean {
  if (!/^[0-9A-Z]{8}[0-9]$/.test(text) || !/[0-9]/.test(text.slice(0, 5))) return false;
  let sum = 0;
  for (let i = 0; i < 8; i++) {
    const code = text.charCodeAt(i);
    let value = code < 58 ? code - 48 : code - 55;
    if (i % 2 === 1) value *= 2;
    sum += Math.floor(value / 10) + (value % 10);
  }
  return (10 - (sum % 10)) % 10 === Number(text[8]);
}

/** Lengths of IBANs by country (SWIFT's registry). */
const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 " +
    "FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 " +
    "LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 " +
    "RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
  )
    .split(" ")
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

export const ibanLength = (country: string): number | undefined => IBAN_LENGTHS.get(country.toUpperCase());

/** ISO 13616: modulus 97, the first four characters last. Separators are passed over. */
export function isIban(text: string, start: number, end: number): boolean {
  let first = 0;
  let seen = 0;
  let remainder = 0;
  for (let at = start; at < end; at++) {
    const value = ibanValue(text.charCodeAt(at));
    if (value < 0) continue;
    if (++seen <= 4) {
      first = first * (value > 9 ? 100 : 10) + value;
      continue;
    }
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  // Two letters and two digits are six digits.
  return (remainder * 1_000_000 + first) % 97 === 1;
}

/** −1: a separator. */
function ibanValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code & ~0x20;
  return letter >= 65 && letter <= 90 ? letter - 55 : -1;
}

/** Countries of ISO 3166-1 that a BIC may name. */
export const isCountry = (code: string): boolean => COUNTRIES.has(code);
const COUNTRIES: ReadonlySet<string> = new Set(
  (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD CF CG CH " +
    "CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM " +
    "GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC " +
    "LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR " +
    "NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV " +
    "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
  ).split(" "),
);

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** Value of each character, +1; 0: it is none of Base58's. */
const BASE58_VALUES = new Uint8Array(128);
for (const [value, char] of [...BASE58].entries()) BASE58_VALUES[char.charCodeAt(0)] = value + 1;
const decoded = Buffer.alloc(25);

/** Bitcoin's Base58Check: 25 bytes, the last four are a checksum. */
export function isBase58Address(text: string): boolean {
  decoded.fill(0);
  for (let at = 0; at < text.length; at++) {
    let carry = (BASE58_VALUES[text.charCodeAt(at)] ?? 0) - 1;
    if (carry < 0) return false;
    for (let index = 24; index >= 0; index--) {
      carry += (decoded[index] as number) * 58;
      decoded[index] = carry & 0xff;
      carry >>= 8;
    }
    if (carry > 0) return false;
  }
  // Versions of addresses that are in use.
  if (decoded[0] !== 0 && decoded[0] !== 5) return false;
  const sha = (data: Uint8Array): Buffer => hash("sha256", data, "buffer");
  return sha(sha(decoded.subarray(0, 21)))
    .subarray(0, 4)
    .equals(decoded.subarray(21));
}
