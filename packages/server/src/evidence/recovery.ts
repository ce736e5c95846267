import type { RecordDraft, StoredRecord } from "@hoopish/protocol";
import type { EvidenceLog } from "./port.ts";

/** What a process that stopped without warning left in the log. */
export interface LeftOpen {
  /** Decided and never ended; `delivered`: bytes of the answer that are durable. */
  readonly calls: readonly { readonly leaf: string; readonly delivered: number }[];
  /** Opened and never closed; `calls`: how many were decided in it. */
  readonly sessions: readonly { readonly leaf: string; readonly calls: number }[];
}

const REASON = "server stopped without closing";
const DRAFTS_IN_ONE_APPEND = 256;

/** How much there was. */
export interface Recovery {
  readonly calls: number;
  readonly sessions: number;
  readonly records: number;
}

/**
 * Ends in the log what a crash left open, and says so in it. For the start, before anything else is appended.
 * A crash in the middle of it leaves the rest for the next start.
 * @param records that were durable beside the database, and are in it now
 * @throws HoopishError evidence_unavailable
 */
export async function recover(left: LeftOpen, records: number, log: EvidenceLog): Promise<Recovery> {
  const recovery = { calls: left.calls.length, sessions: left.sessions.length, records };
  if (recovery.calls + recovery.sessions + records === 0) return recovery;
  const drafts = [
    ...left.calls.map(interrupted),
    ...left.sessions.map(closed),
    { type: "server.recovered", ...recovery } as const,
  ];
  for (let at = 0; at < drafts.length; at += DRAFTS_IN_ONE_APPEND) {
    await log.append(drafts.slice(at, at + DRAFTS_IN_ONE_APPEND));
  }
  return recovery;
}

function interrupted({ leaf, delivered }: LeftOpen["calls"][number]): RecordDraft {
  const decided = JSON.parse(leaf) as StoredRecord & { readonly type: "call.decided" };
  return {
    type: "call.interrupted",
    ...whose(decided),
    connection: decided.connection,
    delivered,
    reason: REASON,
  };
}

function closed({ leaf, calls }: LeftOpen["sessions"][number]): RecordDraft {
  const open = JSON.parse(leaf) as StoredRecord & { readonly type: "session.open" };
  return { type: "session.close", ...whose(open), connection: open.connection, reason: REASON, calls };
}

function whose(record: StoredRecord): Pick<StoredRecord, "actor" | "session" | "call"> {
  return {
    ...(record.actor === undefined ? {} : { actor: record.actor }),
    ...(record.session === undefined ? {} : { session: record.session }),
    ...(record.call === undefined ? {} : { call: record.call }),
  };
}
