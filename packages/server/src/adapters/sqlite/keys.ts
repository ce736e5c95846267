import type { CallId, PayloadField, SessionId } from "@hoopish/protocol";

/** A field's number is its place here, and part of what is stored: append only, 8 at most. */
const FIELDS: readonly PayloadField[] = ["request", "forwarded", "delivered", "answer", "query"];
const FIELD_NUMBER = Object.fromEntries(FIELDS.map((field, number) => [field, number])) as Record<PayloadField, number>;

export const fieldNumber = (field: PayloadField): number => FIELD_NUMBER[field];
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
