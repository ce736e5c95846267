/** Texts of a bank that does not exist, with what is to be found in them: loan files, statements, letters, model inputs. */

export interface Labelled {
  readonly text: string;
  readonly spans: readonly { readonly type: string; readonly start: number; readonly end: number }[];
}

/** The same texts in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const next = random(20_261_127);
const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
const digit = (): string => String(Math.floor(next() * 10));
const digits = (count: number): string => Array.from({ length: count }, digit).join("");
const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
const two = (value: number): string => String(value).padStart(2, "0");

function withLuhn(before: string): string {
  for (let last = 0; last < 10; last++) {
    const number = `${before}${last}`;
    let sum = 0;
    for (let i = 0; i < number.length; i++) {
      const value = Number(number[number.length - 1 - i]) * (i % 2 === 1 ? 2 : 1);
      sum += value > 9 ? value - 9 : value;
    }
    if (sum % 10 === 0) return number;
  }
  throw new Error("one of ten digits always fits");
}

function iban(country: string, body: string): string {
  const text = `${body}${country}00`.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));
  let rest = 0;
  for (const one of text) rest = (rest * 10 + Number(one)) % 97;
  return `${country}${two(98 - rest)}${body}`;
}

function aba(): string {
  for (;;) {
    const eight = `${pick(["02", "06", "11", "12", "26", "31"])}${digits(6)}`;
    const sum = [3, 7, 1, 3, 7, 1, 3, 7].reduce((total, weight, i) => total + weight * Number(eight[i]), 0);
    const number = `${eight}${(10 - (sum % 10)) % 10}`;
    if (number !== "000000000") return number;
  }
}

const grouped = (text: string): string => text.replace(/(.{4})(?=.)/g, "$1 ");
const GIVEN = ["Maria", "James", "Aisha", "Wei", "Elena", "Priya", "Thomas", "Andrew"];
const FAMILY = ["Okafor", "Whitman", "Delgado", "Nguyen", "Kowalski", "Haddad", "Brandt"];

/** A value of a type, written in one of the ways in which people write it. */
const VALUES: Readonly<Record<string, () => string>> = {
  US_SSN: () => `${between(100, 665)}-${two(between(1, 99))}-${String(between(1, 9_999)).padStart(4, "0")}`,
  CREDIT_CARD: () => {
    const card = withLuhn(
      pick([`4${digits(14)}`, `5${between(1, 5)}${digits(13)}`, `37${digits(12)}`, `6011${digits(11)}`]),
    );
    return card.length === 16 ? pick([card, grouped(card), grouped(card).replaceAll(" ", "-")]) : card;
  },
  IBAN: () => {
    const value = pick([
      iban("DE", digits(18)),
      iban("GB", `WEST${digits(14)}`),
      iban("FR", digits(23)),
      iban("NL", `ABNA${digits(10)}`),
    ]);
    return pick([value, grouped(value)]);
  },
  ABA_ROUTING: aba,
  US_BANK_ACCOUNT: () => `${between(1, 9)}${digits(between(7, 11))}`,
  EMAIL: () =>
    `${pick(GIVEN)}${pick([".", "_", ""])}${pick(FAMILY)}${between(1, 99)}@${pick(["example.com", "mail.example.org", "bank.example"])}`.toLowerCase(),
  PHONE: () => {
    const [area, rest] = [String(between(201, 989)), `555-01${two(between(0, 99))}`];
    return pick([`(${area}) ${rest}`, `${area}-${rest}`, `+1 ${area} ${rest}`, `${area}.${rest.replace("-", ".")}`]);
  },
  IP_ADDRESS: () =>
    pick([
      `${between(11, 223)}.${between(0, 255)}.${between(0, 255)}.${between(1, 254)}`,
      `2001:db8:${digits(3)}::${digits(2)}`,
    ]),
  DATE_OF_BIRTH: () => `${two(between(1, 12))}/${two(between(1, 28))}/${between(1_940, 2_004)}`,
};

const TEMPLATES: readonly string[] = [
  "Applicant's SSN is {US_SSN}; contact {EMAIL} or phone {PHONE}.",
  "Wire the proceeds to account number {US_BANK_ACCOUNT}, routing number {ABA_ROUTING}.",
  "Borrower born on {DATE_OF_BIRTH}, social security {US_SSN}, requests $45,000.00 over 60 months at 7.25%.",
  "Card {CREDIT_CARD} was charged $129.99 on 03/04/2025 at terminal 00417.",
  "Please debit IBAN {IBAN} on the first of each month, reference INV-2025-0417.",
  '{"applicant":{"ssn":"{US_SSN}","email":"{EMAIL}","income":84000,"dti":0.31}}',
  '{"card":"{CREDIT_CARD}","amount":1299,"currency":"USD","mcc":5411}',
  "Login from {IP_ADDRESS} at 2025-03-04T09:12:33Z, user agent 14.2.1.",
  "The customer called from {PHONE} and asked to replace card {CREDIT_CARD}.",
  "Payee {EMAIL}; IBAN {IBAN}; amount 1.250,00 EUR.",
  "ABA {ABA_ROUTING} checking account {US_BANK_ACCOUNT} verified by micro-deposits of $0.12 and $0.07.",
  "SSN on file: {US_SSN}. Date of birth: {DATE_OF_BIRTH}. Score 712, utilization 43%.",
  "To: {EMAIL}\nRe: loan 2025-00417\nWe could not reach you at {PHONE}.",
  "device_ip={IP_ADDRESS} risk=0.8731 txn=9f86d081 card={CREDIT_CARD}",
  "Tax form 1099 for {US_SSN}, mailed 01/31/2025.",
  "name,ssn,phone\nx,{US_SSN},{PHONE}",
];

/** Nothing in these is anybody's. */
const CLEAN: readonly string[] = [
  "The debt-to-income ratio of 0.41 exceeds the limit of 0.36 set in section 4.2.1 of the policy.",
  "Loan 2025-00417 for $1,234,567.89 at 4.125% over 360 months; first payment 06/01/2025.",
  "order 4000123412341235 was shipped, tracking 1Z999AA10123456784",
  "batch 20250304 processed 1000000 rows in 12.5 s (80000 rows/s), p99 41.3 ms",
  '{"id":"550e8400-e29b-41d4-a716-446655440000","created":1741079553,"score":0.87312345678,"rows":[1,2,3]}',
  "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  '{"embedding":[0.0123456789,-0.9876543210,0.4111111111111111,1e-7]}',
  "Model credit-risk v3.2.10.4 was promoted on 2025-03-04 at 18:02:08 by the release job.",
  "Invoice 123-45-6789 of 2024-12-31: 3 items, 12.5% discount, total EUR 4.111,11.",
  "GET /v2/models/credit/versions/3/infer HTTP/1.1 200 1204 0.031",
  "AUC 0.8123, Gini 0.6246, KS 0.4411, population 1,204,551, bad rate 2.31%.",
  "ISBN 978-3-16-148410-0, EAN 4006381333931, part no. 4711-0815-99",
  "IF score > 720 AND dti <= 0.36 THEN approve ELSE IF score > 640 THEN refer",
  "Weights: w0=-1.20394 w1=0.41111 w2=12.00417; bias 3.14159265358979",
  "Mon 09:00-17:00, Tue 10:00-18:00; closed 24-26 December.",
  "Coordinates 40.7128, -74.0060; zip 10001; building 120, floor 12.",
  "ticket CHG-1042, change window 2025-03-04 22:00 to 2025-03-05 02:00 UTC",
  "const LIMITS = [1000, 2500, 5000, 10000]; // USD",
  "2021 2022 2023 2024 2025 | 1204 1311 1402 1533 1604",
  "The committee met on March 4, 2025 and approved 417 of 1,204 applications.",
];

function fill(template: string): Labelled {
  let text = "";
  const spans: { type: string; start: number; end: number }[] = [];
  for (const part of template.split(/(\{[A-Z_]+\})/)) {
    const type = /^\{([A-Z_]+)\}$/.exec(part)?.[1];
    const value = type === undefined ? undefined : VALUES[type]?.();
    if (type !== undefined && value !== undefined)
      spans.push({ type, start: text.length, end: text.length + value.length });
    text += value ?? part;
  }
  return { text, spans };
}

/** Every template forty times, and the clean texts. */
export const FINANCE: readonly Labelled[] = [
  ...TEMPLATES.flatMap((template) => Array.from({ length: 40 }, () => fill(template))),
  ...CLEAN.map((text) => ({ text, spans: [] })),
];
