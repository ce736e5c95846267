import { createHash } from "node:crypto";
import { type CallId, encodeRecord, type RecordDraft, type SessionId, uuidv7 } from "@hoopish/protocol";
import { actorNamed } from "../../sample-records.ts";
import type { LogLine } from "../entry.ts";

const START_MS = Date.UTC(2026, 10, 23, 8);

/** Drafts as the log would hold them, one millisecond apart. */
export function logLines(drafts: readonly object[], firstIndex = 0): LogLine[] {
  return drafts.map((draft, n) => {
    const time = new Date(START_MS + firstIndex + n).toISOString();
    const src = { replica: "r", boot: "b", n };
    const leaf = encodeRecord(draft as RecordDraft, { id: uuidv7(START_MS), time, src });
    return {
      index: firstIndex + n,
      leaf,
      leafHash: createHash("sha256")
        .update(Buffer.from([0]))
        .update(leaf)
        .digest(),
    };
  });
}

export const hexOf = (line: LogLine | undefined): string => Buffer.from(line?.leafHash ?? []).toString("hex");

export const SESSION = `ses_${"1".repeat(32)}` as SessionId;
export const callId = (n: number): CallId => `call_${n.toString(16).padStart(32, "0")}` as CallId;

const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const actor = { ...actorNamed("ada@bank.example"), amr: ["pwd", "mfa"] };
const AGENT = { agent: `agt_${"2".repeat(32)}`, name: "edge-1" };
const agentActor = { ...actorNamed("edge-1"), kind: "agent" };

export const OPEN: object = {
  type: "session.open",
  actor,
  session: SESSION,
  connection: "model-x",
  rule: "scientists",
  reason: "Q3 validation",
  ticket: "MRM-7",
  host: "laptop-7",
  client: "hoopish/0.1.0",
};

export const decided = (n: number, more: object = {}): object => ({
  type: "call.decided",
  actor,
  session: SESSION,
  call: callId(n),
  connection: "model-x",
  protocol: "http",
  method: "POST",
  path: "/v1/chat/completions",
  operation: { kind: "chat", model: "llama", rows: 3 },
  verdict: "allow",
  rule: "scientists",
  policy: HASH,
  payloads: { request: { c: "Y29tbWl0bWVudA==", len: 20 } },
  ...more,
});

export const answered = (n: number, more: object = {}): object => ({
  type: "call.answered",
  actor,
  session: SESSION,
  call: callId(n),
  connection: "model-x",
  status: 200,
  duration_ms: 12,
  bytes: { request: 20, delivered: 300 },
  tokens: { input: 5, output: 7 },
  agent: AGENT.agent,
  outcome: "complete",
  ...more,
});

export const interrupted = (n: number): object => ({
  type: "call.interrupted",
  actor,
  session: SESSION,
  call: callId(n),
  connection: "model-x",
  delivered: 11,
  reason: "server stopped without closing",
});

/** A record of every type that there is, in an order that could be. */
export const EVERY_TYPE: readonly object[] = [
  { type: "server.started", version: "0.1.0", config: "https://gateway.bank.example" },
  { type: "server.recovered", calls: 1, sessions: 1, records: 0 },
  { type: "log.gap", reason: "the disk was full", boot: "b", n: 7 },
  { type: "policy.loaded", policy: HASH, rules: 3 },
  { type: "key.rotated", key: "log+abc+def", previous: "log+aaa+bbb" },
  { type: "agent.invited", actor, name: "edge-1", expires: "2026-11-23T09:00:00.000Z" },
  { type: "agent.enrolled", actor: agentActor, ...AGENT, key: "a2V5" },
  { type: "agent.connected", actor: agentActor, ...AGENT, instance: "host-1", connections: ["model-x"] },
  { type: "agent.refused", name: "-", reason: "not enrolled" },
  { type: "auth.login", actor, expires: "2026-11-23T09:00:00.000Z", client: "hoopish/0.1.0" },
  { type: "auth.refused", reason: "the token is expired", code: "unauthenticated", client: "curl/8" },
  { type: "auth.refused", reason: "more sign-ins were refused", code: "unauthenticated", count: 70 },
  { type: "auth.refused", actor, reason: "ada may not use raw", code: "access_denied", client: "hoopish/0.1.0" },
  OPEN,
  decided(1),
  answered(1),
  decided(2, { verdict: "block", code: "policy_blocked", rule: undefined }),
  answered(2, { status: 403, outcome: "refused", code: "policy_blocked", tokens: undefined, agent: undefined }),
  decided(3, { protocol: "grpc", method: "ModelInfer", operation: { kind: "infer" } }),
  interrupted(3),
  { type: "session.close", actor, session: SESSION, connection: "model-x", reason: "closed", calls: 3, by: "root" },
  { type: "audit.searched", actor, query: { since: "24h", user: "bob" }, results: 3 },
  { type: "audit.exported", actor, since: "a", until: "b", format: "ocsf", payloads: false, start: 0 },
  { type: "audit.replayed", actor, of: SESSION },
  {
    type: "retention.purged",
    class: "default",
    from: "2026-08",
    to: "2026-09",
    count: 5,
    root: "cm9vdA==",
    by: "timer",
  },
  { type: "retention.held", actor, hold: "h1", reason: "litigation", by: "ada", filters: { user: "bob" } },
  { type: "retention.released", actor, hold: "h1", reason: "settled", by: "ada" },
  { type: "agent.disconnected", actor: agentActor, ...AGENT, instance: "host-1", reason: "draining" },
  { type: "agent.revoked", actor, ...AGENT, by: "ada@bank.example" },
  { type: "server.stopped", reason: "SIGTERM" },
];
