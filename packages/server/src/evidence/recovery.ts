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
const GAP = {
  type: "log.gap",
  reason: "the newest file of the intake was missing at the start: records that were durable there alone are lost",
} as const;

/** How much there was. */
export interface Recovery {
  readonly calls: number;
  readonly sessions: number;
  readonly records: number;
  /** A file is missing that may have held more: the log says so too. */
  readonly gap?: true;
}

/** What was durable beside the database. */
export interface Beside {
  /** Records that are in it now. */
  readonly records: number;
  /** Some of it is not there any more. */
  readonly missing: boolean;
}

/**
 * Ends in the log what a crash left open, and says so in it. For the start, before anything else is appended.
 * A crash in the middle of it leaves the rest for the next start.
 * @throws HoopishError evidence_unavailable
 */
export async function recover(left: LeftOpen, { records, missing }: Beside, log: EvidenceLog): Promise<Recovery> {
  const recovery = { calls: left.calls.length, sessions: left.sessions.length, records };
  if (recovery.calls + recovery.sessions + records === 0 && !missing) return recovery;
  const drafts = [
    ...(missing ? [GAP] : []),
    ...left.calls.map(interrupted),
    ...left.sessions.map(closed),
    { type: "server.recovered", ...recovery } as const,
  ];
  for (let at = 0; at < drafts.length; at += DRAFTS_IN_ONE_APPEND) {
    await log.append(drafts.slice(at, at + DRAFTS_IN_ONE_APPEND));
  }
  return missing ? { ...recovery, gap: true } : recovery;
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
