import type { RecordDraft } from "@hoopish/protocol";
import { typeNumber, verdictNumber } from "./keys.ts";

/** Types that mean something of their own to the derived tables; every other one is found as an event. */
export const DECIDED: number = typeNumber("call.decided");
export const ANSWERED: number = typeNumber("call.answered");
export const INTERRUPTED: number = typeNumber("call.interrupted");
export const OPENED: number = typeNumber("session.open");
export const CLOSED: number = typeNumber("session.close");
export const PURGED: number = typeNumber("retention.purged");

/** What a record means to the derived tables. */
export interface IndexEntry {
  /** typeNumber. */
  readonly type: number;
  /** Unix milliseconds: the record's time. */
  readonly timeMs: number;
  /** The call's UUID: 32 hexadecimal digits, or "". */
  readonly call: string;
  /** The session's, likewise. "" in ANSWERED, of which there are many: its call has it. */
  readonly session: string;
  /** Who acted; "" in ANSWERED. */
  readonly user: string;
  readonly connection: string;
  /** Of DECIDED. */
  readonly verdict: number;
}

/** From a draft on its way in, or from a stored record when the tables are built again. */
export function indexEntry(record: RecordDraft, timeMs: number): IndexEntry {
  const type = typeNumber(record.type);
  const call = uuidOf(record.call);
  if (type === ANSWERED) return { type, timeMs, call, session: "", user: "", connection: "", verdict: 0 };
  return {
    type,
    timeMs,
    call,
    session: uuidOf(record.session),
    user: record.actor?.name ?? "",
    connection: "connection" in record ? record.connection : "",
    verdict: record.type === "call.decided" ? verdictNumber(record.verdict) : 0,
  };
}

/** `call_…`, `ses_…` → what follows. */
const uuidOf = (id: string | undefined): string => (id === undefined ? "" : id.slice(id.indexOf("_") + 1));
