import type { RecordDraft } from "@hoopish/protocol";
import { verdictNumber } from "./keys.ts";

/** What a record means to the derived tables. Numbers are part of nothing that is stored. */
export const DECIDED = 1;
export const ENDED = 2;
export const OPENED = 3;
export const CLOSED = 4;
export const MENTIONED = 5;
/** Rare: what it says is read from its leaf. */
export const PURGED = 6;
export const OTHER = 0;

export interface IndexEntry {
  readonly kind: number;
  /** Unix milliseconds: the record's time. */
  readonly timeMs: number;
  /** The call's UUID, or the session's for OPENED and CLOSED: 32 hexadecimal digits, or "". */
  readonly id: string;
  /** DECIDED: the session's UUID. */
  readonly session: string;
  readonly user: string;
  readonly connection: string;
  readonly verdict: number;
}

/** From a draft on its way in, or from a stored record when the tables are built again. */
export function indexEntry(record: RecordDraft, timeMs: number): IndexEntry {
  switch (record.type) {
    case "call.decided":
      return {
        kind: DECIDED,
        timeMs,
        id: uuidOf(record.call),
        session: uuidOf(record.session),
        user: record.actor?.name ?? "",
        connection: record.connection,
        verdict: verdictNumber(record.verdict),
      };
    case "call.answered":
    case "call.interrupted":
      return plain(ENDED, timeMs, uuidOf(record.call), "");
    case "session.open":
      return plain(OPENED, timeMs, uuidOf(record.session), record.actor?.name ?? "");
    case "session.close":
      return plain(CLOSED, timeMs, uuidOf(record.session), "");
    case "retention.purged":
      return plain(PURGED, timeMs, "", "");
    default:
      return record.call === undefined
        ? plain(OTHER, timeMs, "", "")
        : plain(MENTIONED, timeMs, uuidOf(record.call), "");
  }
}

const plain = (kind: number, timeMs: number, id: string, user: string): IndexEntry => ({
  kind,
  timeMs,
  id,
  session: "",
  user,
  connection: "",
  verdict: 0,
});

/** `call_…`, `ses_…` → what follows. */
const uuidOf = (id: string | undefined): string => (id === undefined ? "" : id.slice(id.indexOf("_") + 1));
