import type { RecordType } from "@hoopish/protocol";

/**
 * For help and completion, which load nothing of the protocol; a test holds it against the protocol's own list.
 * In the order in which a person looks for them.
 */
export const RECORD_TYPE_WORDS: readonly RecordType[] = [
  "call.decided",
  "call.answered",
  "call.interrupted",
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.expired",
  "approval.used",
  "approval.reviewed",
  "lock.set",
  "lock.lifted",
  "session.open",
  "session.close",
  "auth.login",
  "auth.refused",
  "audit.searched",
  "audit.exported",
  "audit.replayed",
  "policy.loaded",
  "policy.refused",
  "agent.invited",
  "agent.enrolled",
  "agent.connected",
  "agent.disconnected",
  "agent.refused",
  "agent.revoked",
  "retention.purged",
  "retention.held",
  "retention.released",
  "key.rotated",
  "server.started",
  "server.stopped",
  "server.recovered",
  "log.gap",
];
