import type { CallId, PayloadField, RetentionClass, SessionId } from "@hoopish/protocol";

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
export const verdictOf = (number: number): (typeof VERDICTS)[number] => VERDICTS[number] as (typeof VERDICTS)[number];
export const VERDICT_NUMBERS: readonly number[] = VERDICTS.map((_, number) => number);

/** `ses_…` or `call_…` → the 16 bytes of its UUID. */
export const idBytes = (id: CallId | SessionId): Buffer => Buffer.from(id.slice(id.indexOf("_") + 1), "hex");

/** Stored too. */
const CLASSES: readonly RetentionClass[] = ["default", "heldOrBlocked"];
export const retentionNumber = (name: RetentionClass): number => CLASSES.indexOf(name);
export const retentionOf = (number: number): RetentionClass => CLASSES[number] as RetentionClass;

/** A month of UTC as a number: 12 × year + month from 0. */
export function monthOf(timeMs: number): number {
  const time = new Date(timeMs);
  return time.getUTCFullYear() * 12 + time.getUTCMonth();
}
export const monthStart = (month: number): Date => new Date(Date.UTC(Math.floor(month / 12), month % 12));
