import type { Json } from "./canonical.ts";
import { canonicalize } from "./canonical.ts";
import type { Commitment } from "./commitment.ts";
import { type ErrorCode, HoopishError } from "./errors.ts";
import type { AgentId, CallId, SessionId } from "./ids.ts";

/**
 * A record is one leaf of the log: the UTF-8 bytes of its JCS form, stored and exported as they are and never
 * serialised again. It holds no payload and no secret: what went in and out stands in the vault, the record commits to it.
 */

/** Bytes of one leaf, at most. */
export const MAX_RECORD_BYTES = 65_535;

/** Where a record comes from. `n` has no gap within one `boot` (one process start): a missing number is a lost record. */
export interface RecordSource {
  readonly replica: string;
  readonly boot: string;
  readonly n: number;
}

/** Who acted: the principal as its identity provider named it. `groups_hash` = SHA-256 of the sorted groups, hex. */
export interface RecordActor {
  readonly sub: string;
  readonly iss: string;
  readonly name: string;
  readonly groups_hash: string;
  readonly kind: "human" | "service" | "agent";
  readonly amr?: readonly string[];
}

/**
 * `request` and `answer`: bodies as received; `forwarded`: the request's body where it was changed on the way;
 * `delivered`: the answer's body as the client got it; `query`: the request target's query, which may hold personal data
 * and therefore stands here and not in the record.
 */
export type PayloadField = "request" | "forwarded" | "delivered" | "answer" | "query";
export const PAYLOAD_FIELDS: readonly PayloadField[] = ["request", "forwarded", "delivered", "answer", "query"];

export type Payloads = { readonly [F in PayloadField]?: Commitment };

export interface RecordedOperation {
  readonly kind: string;
  readonly model?: string;
  readonly rows?: number;
}

export type Outcome = "complete" | "client_gone" | "upstream_failed" | "blocked" | "refused" | "revoked";

/** What each type adds to the common members. Members that are absent are left out, never null. */
export interface RecordBodies {
  "server.started": { version: string; config: string };
  "server.stopped": { reason: string };
  "policy.loaded": { policy: string; rules: number };
  "auth.login": { expires: string; client?: string };
  "auth.refused": { reason: string; code: ErrorCode; client?: string };
  "session.open": {
    connection: string;
    rule: string;
    reason?: string;
    ticket?: string;
    host: string;
    client: string;
    previous?: SessionId;
  };
  "session.close": { connection: string; reason: string; calls: number; by?: string };
  "call.decided": {
    connection: string;
    protocol: string;
    method: string;
    path: string;
    operation: RecordedOperation;
    verdict: "allow" | "hold" | "block";
    rule?: string;
    code?: ErrorCode;
    policy: string;
    payloads?: Payloads;
    /** The request was still flowing when this was decided; its commitment stands in call.answered. */
    request_streams?: true;
  };
  "call.answered": {
    connection: string;
    status: number;
    duration_ms: number;
    bytes: { request: number; delivered: number };
    tokens?: { input: number; output: number };
    agent?: AgentId;
    code?: ErrorCode;
    payloads?: Payloads;
    uninspected?: readonly string[];
    outcome: Outcome;
  };
  "call.interrupted": { connection: string; delivered: number; reason: string };
  "agent.enrolled": { agent: AgentId; name: string; key: string };
  "agent.connected": { agent: AgentId; name: string; instance: string; connections: readonly string[] };
  "agent.disconnected": { agent: AgentId; name: string; instance: string; reason: string };
  "agent.revoked": { agent: AgentId; name: string; by: string };
  "agent.invited": { name: string; expires: string };
  "agent.refused": { name: string; reason: string };
  "audit.searched": { query: Readonly<Record<string, string>>; results: number };
  "audit.exported": { since: string; until: string; format: string; payloads: boolean };
}

export type RecordType = keyof RecordBodies;

/** What a part of the server hands to the log; the log adds v, id, time and src. */
export type RecordDraft<T extends RecordType = RecordType> = {
  [K in T]: {
    readonly type: K;
    readonly actor?: RecordActor;
    readonly session?: SessionId;
    readonly call?: CallId;
  } & { readonly [M in keyof RecordBodies[K]]: RecordBodies[K][M] };
}[T];

export type StoredRecord = RecordDraft & {
  readonly v: 1;
  readonly id: string;
  readonly time: string;
  readonly src: RecordSource;
};

/** The leaf's text. @throws HoopishError evidence_unavailable when it cannot be a record (too large, a float, not UTF-8) */
export function encodeRecord(
  draft: RecordDraft,
  stamp: { readonly id: string; readonly time: string; readonly src: RecordSource },
): string {
  let text: string;
  try {
    text = canonicalize({ ...(draft as unknown as { [key: string]: Json }), v: 1, ...stamp } as unknown as Json);
  } catch (cause) {
    throw new HoopishError("evidence_unavailable", "the record of this act cannot be written", { cause });
  }
  if (text.length > MAX_RECORD_BYTES || Buffer.byteLength(text) > MAX_RECORD_BYTES) {
    throw new HoopishError("evidence_unavailable", "the record of this act is larger than a record may be");
  }
  return text;
}
