import type { CallId, PayloadField, SessionId } from "@hoopish/protocol";

/** Part of what is stored: a new field gets the next number, 8 at most. */
const FIELD_NUMBERS: Readonly<Record<PayloadField, number>> = {
  request: 0,
  forwarded: 1,
  delivered: 2,
  answer: 3,
  query: 4,
};
const FIELDS = Object.keys(FIELD_NUMBERS) as PayloadField[];

export const fieldNumber = (field: PayloadField): number => FIELD_NUMBERS[field];
export const fieldOf = (number: number): PayloadField => FIELDS[number] as PayloadField;

/** Stored too. */
const VERDICTS = ["allow", "hold", "block"] as const;
export const verdictNumber = (verdict: (typeof VERDICTS)[number]): number => VERDICTS.indexOf(verdict);
export const VERDICT_NUMBERS: readonly number[] = VERDICTS.map((_, number) => number);

/** `ses_…` or `call_…` → the 16 bytes of its UUID. */
export const idBytes = (id: CallId | SessionId): Buffer => Buffer.from(id.slice(id.indexOf("_") + 1), "hex");

/**
 * A payload row's key: index of the call's call.decided × 2^27 + field × 2^24 + seq of its first piece. 36 bits are left
 * for the index (SQLite's integers have 63): 68 thousand million records.
 */
export const MAX_SEQ: number = 2 ** 24 - 1;
export const payloadKey = (callKey: number, field: number, seq: number): bigint =>
  (BigInt(callKey) << 27n) | BigInt(field * 2 ** 24 + seq);
