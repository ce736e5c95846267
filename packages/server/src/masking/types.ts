/** What the built-in detectors know. Names are Presidio's where it has one. */
export const PII_TYPES = [
  "US_SSN",
  "US_ITIN",
  "US_EIN",
  "CREDIT_CARD",
  "IBAN",
  "ABA_ROUTING",
  "US_BANK_ACCOUNT",
  "SWIFT_BIC",
  "CUSIP",
  "US_PASSPORT",
  "US_DRIVER_LICENSE",
  "PHONE",
  "EMAIL",
  "DATE_OF_BIRTH",
  "IP_ADDRESS",
  "PERSON",
  "STREET_ADDRESS",
  "NPI",
  "CRYPTO_ADDRESS",
  "URL_CREDENTIALS",
  "API_KEY",
  "JWT",
  "PRIVATE_KEY",
  "CLOUD_KEY",
] as const;
export type PiiType = (typeof PII_TYPES)[number];

/** How sure a detector is of what it found: a checksum, or a form of its own, or a form and words near by. */
export const SCORES: Readonly<Record<PiiType, number>> = {
  US_SSN: 0.85,
  US_ITIN: 0.85,
  US_EIN: 0.8,
  CREDIT_CARD: 0.95,
  IBAN: 1,
  ABA_ROUTING: 0.9,
  US_BANK_ACCOUNT: 0.7,
  SWIFT_BIC: 0.8,
  CUSIP: 0.9,
  US_PASSPORT: 0.7,
  US_DRIVER_LICENSE: 0.65,
  PHONE: 0.7,
  EMAIL: 1,
  DATE_OF_BIRTH: 0.75,
  IP_ADDRESS: 0.95,
  PERSON: 0.6,
  STREET_ADDRESS: 0.6,
  NPI: 0.9,
  CRYPTO_ADDRESS: 0.95,
  URL_CREDENTIALS: 0.9,
  API_KEY: 0.9,
  JWT: 0.95,
  PRIVATE_KEY: 1,
  CLOUD_KEY: 0.95,
};

/**
 * The longest that a match of a built-in detector may be, in UTF-16 units of its skeleton: so much of a text is held back at
 * most. Longer values (tokens, keys, long e-mail addresses) are known by their beginning, and the rest of them is swallowed.
 */
export const MAX_MATCH = 64;
