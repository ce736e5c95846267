import type { Json } from "./canonical.ts";
import { canonicalize } from "./canonical.ts";
import type { Commitment } from "./commitment.ts";
import { type ErrorCode, HoopishError } from "./errors.ts";
import type { AgentId, ApprovalId, CallId, LockId, SessionId } from "./ids.ts";

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
  /** Tokens that the call may make the model write, as it asks. */
  readonly tokens?: number;
  readonly sql?: RecordedSql;
}

/** What an SQL text asks for, over all of its statements: the first names of each kind. */
export interface RecordedSql {
  readonly kinds: readonly string[];
  readonly tables: readonly string[];
  readonly functions: readonly string[];
  readonly statements: number;
}

/** What a lock shuts out. `user`: the principal that rules know by this name, of any issuer. */
export type LockKind = "user" | "agent" | "connection";

export type Outcome = "complete" | "client_gone" | "upstream_failed" | "blocked" | "refused" | "revoked";

/** What each type adds to the common members. Members that are absent are left out, never null. */
export interface RecordBodies {
  "server.started": { version: string; config: string };
  "server.stopped": { reason: string };
  /** `previous`: the policy that it replaced while the server ran; `by`: what asked for it. */
  "policy.loaded": { policy: string; rules: number; previous?: string; by?: string };
  /** A changed configuration that did not validate; what was in force stays. `reason` names places, never values. */
  "policy.refused": { policy: string; reason: string; by: string };
  "auth.login": { expires: string; client?: string };
  /** `count`: how many this one record stands for, when they came faster than they are recorded one by one. */
  "auth.refused": { reason: string; code: ErrorCode; client?: string; count?: number };
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
    /** The approval that this call waits for, or goes on with. */
    approvals?: readonly ApprovalId[];
    payloads?: Payloads;
    /** How many findings of each type were masked in the request. */
    masked?: Readonly<Record<string, number>>;
    /** `TYPE:digest` of the first of them, keyed: whether two were the same value, and never which. */
    masked_digests?: readonly string[];
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
    /** Rows that a database answered. */
    rows?: number;
    payloads?: Payloads;
    /** How many findings of each type were masked in the answer. */
    masked?: Readonly<Record<string, number>>;
    masked_digests?: readonly string[];
    /** What was masked in messages of the request that followed the one that call.decided tells of. */
    request_masked?: Readonly<Record<string, number>>;
    uninspected?: readonly string[];
    outcome: Outcome;
  };
  "call.interrupted": { connection: string; delivered: number; reason: string };
  /**
   * A call waits for a human. Its exact bytes are those that `call`'s call.decided commits to; the approval is good for
   * them, for this actor and under this policy alone. `actor`: who asks.
   */
  "approval.requested": {
    approval: ApprovalId;
    connection: string;
    rule: string;
    policy: string;
    method: string;
    path: string;
    content_type?: string;
    operation: RecordedOperation;
    /** Bytes of the request's body. */
    bytes: number;
    scope: "call" | "session";
    quorum: number;
    groups: readonly string[];
    expires: string;
    /** Of a session's: how long it is good for once it is approved, milliseconds. */
    window_ms?: number;
    /** What the session was opened for. */
    reason?: string;
    ticket?: string;
  };
  /** `actor`: who decided. `final`: enough have; `until`: absolute end of the window that a session's approval opens. */
  "approval.granted": {
    approval: ApprovalId;
    connection: string;
    rule: string;
    by: string;
    reason?: string;
    final?: true;
    until?: string;
    /** The requester passed alone; a review is owed. */
    break_glass?: true;
    /** Where it was said, unless with the approver's own token: `slack`. */
    via?: "slack";
  };
  "approval.denied": {
    approval: ApprovalId;
    connection: string;
    rule: string;
    by: string;
    reason: string;
    via?: "slack";
  };
  /** It ended undecided, or decided and unused; `reason`: its time was over, its caller left, the rules changed … */
  "approval.expired": { approval: ApprovalId; connection: string; rule: string; reason: string };
  /** The call that it let through. */
  "approval.used": { approval: ApprovalId; connection: string; rule: string };
  /** Somebody other than who broke the glass has looked at it. */
  "approval.reviewed": { approval: ApprovalId; connection: string; rule: string; by: string; reason: string };
  "lock.set": { lock: LockId; kind: LockKind; name: string; reason: string; by: string };
  "lock.lifted": { lock: LockId; kind: LockKind; name: string; reason: string; by: string };
  "agent.enrolled": { agent: AgentId; name: string; key: string };
  "agent.connected": { agent: AgentId; name: string; instance: string; connections: readonly string[] };
  "agent.disconnected": { agent: AgentId; name: string; instance: string; reason: string };
  "agent.revoked": { agent: AgentId; name: string; by: string };
  "agent.invited": { name: string; expires: string };
  "agent.refused": { name: string; reason: string };
  "audit.searched": { query: Readonly<Record<string, string>>; results: number };
  /** `start`: size of the log where the range begins; `filters`: whose payloads are disclosed, as the request named them. */
  "audit.exported": {
    since: string;
    until: string;
    format: string;
    payloads: boolean;
    start?: number;
    filters?: Readonly<Record<string, string>>;
  };
  /** A recorded session was played; `call`: that one recorded request was sent again, and `again` is the call that it became. */
  "audit.replayed": { of: SessionId | CallId; again?: CallId };
  /** What a crash had left open and was ended here; `records`: durable in the journal, and brought into the log at the start. */
  "server.recovered": { calls: number; sessions: number; records: number };
  /**
   * Payloads of one class whose call was decided in [from, to), a month, were destroyed with their key. `root`: RFC 6962
   * root, base64, over the UTF-8 texts `<call>/<field>`, `count` of them: calls in the order of their call.decided, fields
   * of a call in the order of the alphabet. What a hold kept is not among them, and may go in a later purge.
   */
  "retention.purged": { class: RetentionClass; from: string; to: string; count: number; root: string; by: string };
  "retention.held": { hold: string; reason: string; by: string; filters: Readonly<Record<string, string>> };
  "retention.released": { hold: string; reason: string; by: string };
  /** The log is signed with another key from here on; signed by the old one in the checkpoint before. */
  "key.rotated": { key: string; previous?: string };
  /** Evidence was lost before it reached the log, and how much is known of it. */
  "log.gap": { reason: string; boot?: string; n?: number };
}

/** How long payloads are kept: those of calls that were held, blocked or broke glass longer than the rest. */
export type RetentionClass = "default" | "heldOrBlocked";

/** The class of a call's payloads: known from the record that decided it, so that an examiner can tell it too. */
export const retentionClassOf = (verdict: "allow" | "hold" | "block"): RetentionClass =>
  verdict === "allow" ? "default" : "heldOrBlocked";

export type RecordType = keyof RecordBodies;

const TYPES: Readonly<Record<RecordType, true>> = {
  "server.started": true,
  "server.stopped": true,
  "server.recovered": true,
  "policy.loaded": true,
  "policy.refused": true,
  "auth.login": true,
  "auth.refused": true,
  "session.open": true,
  "session.close": true,
  "call.decided": true,
  "call.answered": true,
  "call.interrupted": true,
  "approval.requested": true,
  "approval.granted": true,
  "approval.denied": true,
  "approval.expired": true,
  "approval.used": true,
  "approval.reviewed": true,
  "lock.set": true,
  "lock.lifted": true,
  "agent.invited": true,
  "agent.enrolled": true,
  "agent.connected": true,
  "agent.disconnected": true,
  "agent.refused": true,
  "agent.revoked": true,
  "audit.searched": true,
  "audit.exported": true,
  "audit.replayed": true,
  "retention.purged": true,
  "retention.held": true,
  "retention.released": true,
  "key.rotated": true,
  "log.gap": true,
};
/** Every type that there is. */
export const RECORD_TYPES: readonly RecordType[] = Object.keys(TYPES) as RecordType[];
export const isRecordType = (value: string): value is RecordType => Object.hasOwn(TYPES, value);

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

/**
 * The leaf's text: the JCS form of the draft with v, id, time and src.
 * @throws HoopishError evidence_unavailable when it cannot be a record (too large, a float, not UTF-8)
 */
export function encodeRecord(
  draft: RecordDraft,
  stamp: { readonly id: string; readonly time: string; readonly src: RecordSource },
): string {
  let text: string;
  try {
    text = canonicalMembers(draft.type, { ...draft, v: 1, id: stamp.id, time: stamp.time, src: stamp.src });
  } catch (cause) {
    throw new HoopishError("evidence_unavailable", "the record of this act cannot be written", { cause });
  }
  // A UTF-16 code unit is at most 3 bytes of UTF-8, so most records need not be measured.
  if (text.length > MAX_RECORD_BYTES / 3 && Buffer.byteLength(text) > MAX_RECORD_BYTES) {
    throw new HoopishError("evidence_unavailable", "the record of this act is larger than a record may be");
  }
  return text;
}

/** Canonical forms of actors: one principal acts in thousands of records, and is a quarter of the work of each. */
const ACTORS = new WeakMap<RecordActor, string>();

function canonicalActor(actor: RecordActor): string {
  const known = ACTORS.get(actor);
  if (known !== undefined) return known;
  const text = canonicalize(actor as unknown as Json, integer);
  // Only what cannot change behind the cache's back is kept.
  if (Object.isFrozen(actor) && (actor.amr === undefined || Object.isFrozen(actor.amr))) ACTORS.set(actor, text);
  return text;
}

/** One member of a record, and how it begins when it is not the first. */
interface Member {
  readonly name: string;
  readonly label: string;
}

/** The members that records of a type were seen to have, in canonical order: sorting them anew is half the work. */
const ORDERS = new Map<string, readonly Member[]>();

function canonicalMembers(type: string, record: Readonly<Record<string, unknown>>): string {
  const members = ORDERS.get(type) ?? learnOrder(type, [], record);
  let out = "";
  let written = 0;
  for (let i = 0; i < members.length; i++) {
    const { name, label } = members[i] as Member;
    const value = record[name];
    if (value === undefined) continue;
    out += label + (name === "actor" ? canonicalActor(value as RecordActor) : canonicalize(value as Json, integer));
    written += 1;
  }
  if (written === Object.keys(record).length) return `{${out.slice(1)}}`;
  // Something is undefined, or new to this type.
  const known = new Set(members.map(({ name }) => name));
  if (Object.keys(record).every((name) => known.has(name))) return `{${out.slice(1)}}`;
  learnOrder(type, [...known], record);
  return canonicalize(record as Json, integer);
}

function learnOrder(type: string, known: readonly string[], record: object): readonly Member[] {
  const names = [...new Set([...known, ...Object.keys(record)])].sort();
  const members = names.map((name) => ({ name, label: `,${canonicalize(name)}:` }));
  ORDERS.set(type, members);
  return members;
}

/** EVIDENCE.md: no floats, and no integer that another language's JSON parser would round. */
function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is not an integer of at most 53 bits`);
  return String(value);
}
