import type { CallId, PayloadField, SessionId } from "@hoopish/protocol";

/** Positions are part of the stored form: append only. */
const FIELDS: readonly PayloadField[] = ["request", "forwarded", "delivered", "answer", "query"];
const FIELD_NUMBER = Object.fromEntries(FIELDS.map((field, number) => [field, number])) as Record<PayloadField, number>;
const FIELD_BITS = 3n;
const SEQ_BITS = 24n;
export const MAX_SEQ: number = 2 ** 24 - 1;

const VERDICTS = ["allow", "hold", "block"] as const;

export const verdictNumber = (verdict: (typeof VERDICTS)[number]): number => VERDICTS.indexOf(verdict);

/** `ses_…` or `call_…` → the 16 bytes of its UUID. */
export const idBytes = (id: CallId | SessionId): Buffer => Buffer.from(id.slice(id.indexOf("_") + 1), "hex");
export const callIdOf = (bytes: Uint8Array): CallId => `call_${Buffer.from(bytes).toString("hex")}` as CallId;

/** Key of a payload row. The keys of one payload lie between that of seq 0 and that of MAX_SEQ. */
export const payloadKey = (callKey: number, field: PayloadField, seq: number): bigint =>
  (((BigInt(callKey) << FIELD_BITS) | BigInt(FIELD_NUMBER[field])) << SEQ_BITS) | BigInt(seq);

export const fieldOf = (number: number): PayloadField => FIELDS[number] as PayloadField;
