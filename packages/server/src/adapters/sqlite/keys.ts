import type { CallId, PayloadField, RecordType, RetentionClass, SessionId } from "@hoopish/protocol";

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

/** Part of what is stored: a new type gets the next number, 255 at most. */
const TYPE_NUMBERS: Readonly<Record<RecordType, number>> = {
  "call.decided": 1,
  "call.answered": 2,
  "session.open": 3,
  "session.close": 4,
  "call.interrupted": 5,
  "server.started": 6,
  "server.stopped": 7,
  "server.recovered": 8,
  "policy.loaded": 9,
  "auth.login": 10,
  "auth.refused": 11,
  "agent.enrolled": 12,
  "agent.connected": 13,
  "agent.disconnected": 14,
  "agent.revoked": 15,
  "agent.invited": 16,
  "agent.refused": 17,
  "audit.searched": 18,
  "audit.exported": 19,
  "audit.replayed": 20,
  "retention.purged": 21,
  "retention.held": 22,
  "retention.released": 23,
  "key.rotated": 24,
  "log.gap": 25,
  "policy.refused": 26,
  "approval.requested": 27,
  "approval.granted": 28,
  "approval.denied": 29,
  "approval.expired": 30,
  "approval.used": 31,
  "approval.reviewed": 32,
  "lock.set": 33,
  "lock.lifted": 34,
};
/** 0: a type that a newer program wrote. */
export const typeNumber = (type: RecordType): number => TYPE_NUMBERS[type] ?? 0;

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
