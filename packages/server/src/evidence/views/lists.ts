import type { SessionView, StoredRecord } from "@hoopish/protocol";
import type { RecordedCall } from "../port.ts";

/** The records of one type as they are stored: drafts with v, id, time and src. */
export type Stored<T extends StoredRecord["type"]> = StoredRecord & { readonly type: T };
export type Decided = Stored<"call.decided">;
export type Ended = Stored<"call.answered" | "call.interrupted">;

/** One call as lists show it, from the leaf that decided it and the leaf that ended it. */
export function callView(decidedLeaf: string, endedLeaf: string | undefined): RecordedCall {
  const ended = endedLeaf === undefined ? undefined : (JSON.parse(endedLeaf) as Ended);
  return recordedCall(JSON.parse(decidedLeaf) as Decided, ended);
}

/** One call, from its two records. */
export function recordedCall(decided: Decided, ended: Ended | undefined): RecordedCall {
  const { operation } = decided;
  return {
    id: decided.call as RecordedCall["id"],
    time: decided.time,
    user: decided.actor?.name ?? "",
    connection: decided.connection,
    session: decided.session as RecordedCall["session"],
    method: decided.method,
    path: decided.path,
    kind: operation.kind,
    ...(operation.model === undefined ? {} : { model: operation.model }),
    ...(operation.rows === undefined ? {} : { rows: operation.rows }),
    verdict: decided.verdict,
    ...(decided.rule === undefined ? {} : { rule: decided.rule }),
    ...(decided.code === undefined ? {} : { code: decided.code }),
    ...(ended === undefined ? {} : endOf(ended)),
  };
}

/** What the record that ended a call says of it. */
export function endOf(ended: Ended): Partial<RecordedCall> {
  if (ended.type === "call.interrupted") {
    return { deliveredBytes: ended.delivered, outcome: "interrupted", endedAt: ended.time };
  }
  return {
    status: ended.status,
    durationMs: ended.duration_ms,
    requestBytes: ended.bytes.request,
    deliveredBytes: ended.bytes.delivered,
    outcome: ended.outcome,
    ...(ended.code === undefined ? {} : { code: ended.code }),
    endedAt: ended.time,
  };
}

/** One session as lists show it. `calls`: how many were decided in it, where no session.close says so. */
export function sessionView(openLeaf: string, closeLeaf: string | undefined, calls: number): SessionView {
  const open = JSON.parse(openLeaf) as Stored<"session.open">;
  const close = closeLeaf === undefined ? undefined : (JSON.parse(closeLeaf) as Stored<"session.close">);
  return {
    id: open.session as SessionView["id"],
    user: open.actor?.name ?? "",
    connection: open.connection,
    state: close === undefined ? "live" : "closed",
    openedAt: open.time,
    ...(close === undefined ? {} : { closedAt: close.time, closeReason: close.reason }),
    ...(open.reason === undefined ? {} : { reason: open.reason }),
    ...(open.ticket === undefined ? {} : { ticket: open.ticket }),
    host: open.host,
    client: open.client,
    calls: close?.calls ?? calls,
  };
}
