import { z } from "zod";
import {
  type AgentId,
  type CallId,
  type HoldId,
  isAgentId,
  isCallId,
  isHoldId,
  isSessionId,
  type SessionId,
} from "./ids.ts";
import { type PayloadState, payloadStateSchema } from "./retention.ts";
import type { Api, Protocol } from "./streams.ts";
import { MAX_PROOF_HASHES } from "./tlog/proofs.ts";

/**
 * The control API: JSON over HTTP under `/api/v1`, bearer token except where noted. Errors are
 * `{"error":{"code","message","hint"?}}` with the code's HTTP status (errors.ts). Lists are pages: `next` is the cursor.
 *
 * GET  /.well-known/hoopish                 (no token)  Discovery
 * GET  /healthz · /readyz                   (no token)
 * GET  /api/v1/whoami                       Whoami
 * GET  /api/v1/connections                  {connections: ConnectionView[]}
 * GET  /api/v1/sessions?state=live|past|all&limit&cursor   {sessions: SessionView[], next?}   own; admins and auditors: all
 * GET  /api/v1/sessions/:id                 SessionView
 * DELETE /api/v1/sessions/:id?reason=       SessionView   own; admins: all
 * GET  /api/v1/audit/calls?since&until&user&connection&session&verdict&limit&cursor  {calls: CallView[], next?}
 * GET  /api/v1/audit/calls/:id              CallStory
 * GET  /api/v1/audit/records?type=a,b&user&connection&session&call&since&until&limit&cursor   RecordList: newest first   auditors
 * GET  /api/v1/audit/calls/:id/payloads/:field   the raw bytes
 * POST /api/v1/audit/calls/:id/reissues {again}   Reissued (replay.ts): own calls; auditors: all
 * GET  /api/v1/audit/sessions/:id/replay    a stream of ReplayLine (replay.ts)          auditors, admins
 * GET  /api/v1/audit/export?since&until&format=bundle|jsonl|csv|ocsf&payloads&user&connection&session   a stream; of a bundle the answer has
 *      `hoopish-export: <index>`, and ?format=bundle&resume=<index>&offset=<bytes> goes on where it was cut off
 * GET  /api/v1/audit/calls/:id/receipt?type   ReceiptReply (receipt.ts): C2SP tlog-proof of one of the call's records
 * GET  /api/v1/retention                    a stream of WorkLine<RetentionPlan> (retention.ts): what a purge would do   auditors, admins
 * POST /api/v1/retention/purges             a stream of WorkLine<PurgeReport>                          admins
 * GET  /api/v1/retention/holds?state=active|all   {holds: HoldView[]}                                  auditors, admins
 * POST /api/v1/retention/holds {reason, filters}  PlacedHold                                           auditors
 * DELETE /api/v1/retention/holds/:id?reason=      HoldView (released)                                  auditors
 * GET  /api/v1/log/checkpoint               the newest checkpoint: a signed note, text/plain
 * GET  /api/v1/log/status                   LogStatus   anchors: to admins and auditors
 * GET  /api/v1/log/consistency?from&to      LogConsistency   of the trees of `from` and `to` leaves
 * GET  /api/v1/agents                       {agents: AgentView[]}                     admins
 * POST /api/v1/agents/enrollments {name, ttlSeconds?}   EnrollmentToken               admins
 * DELETE /api/v1/agents/:id                 AgentView (revoked)                       admins
 * POST /api/v1/agents/enroll {token, name, publicKey}   (the one-time token is the authority)  {agent: AgentView, origin}
 * POST /api/v1/agents/challenge             (no token)  {nonce, expiresAt}
 */

const sessionId = z.custom<SessionId>(isSessionId, "not a session id");
const callId = z.custom<CallId>(isCallId, "not a call id");
const agentId = z.custom<AgentId>(isAgentId, "not an agent id");
const holdId = z.custom<HoldId>(isHoldId, "not a hold's id");
/** RFC 3339, UTC, milliseconds. */
const time = z.string();
const count = z.number().int().nonnegative();
const protocol = z.enum(["http", "grpc", "postgres"]);
const api = z.enum(["openai", "oip", "tfserving", "triton", "ollama", "mlflow", "generic"]);

/** How a person signs in: RFC 8628 device authorization, or authorization code with PKCE on a loopback port. */
export type SignInFlow = "device" | "browser";

export interface DiscoveredIssuer {
  readonly issuer: string;
  readonly clientId: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  /** The flows that the bank allows; the first is the default. */
  readonly flows: readonly SignInFlow[];
}
export interface Discovery {
  readonly name: "hoopish";
  readonly version: string;
  /** Issuers where people sign in; workload issuers are not listed. */
  readonly issuers: readonly DiscoveredIssuer[];
  /** Whether the CLI may keep tokens in a 0600 file where there is no keychain. */
  readonly insecureStorage: boolean;
  /** The evidence log: its origin, and the key that signs its checkpoints (C2SP vkey). */
  readonly log?: { readonly origin: string; readonly vkey: string };
}
export const discoverySchema: z.ZodType<Discovery> = z.object({
  name: z.literal("hoopish"),
  version: z.string(),
  issuers: z.array(
    z.object({
      issuer: z.string(),
      clientId: z.string(),
      audience: z.string(),
      scopes: z.array(z.string()),
      flows: z.array(z.enum(["device", "browser"])).min(1),
    }),
  ),
  insecureStorage: z.boolean(),
  log: z.object({ origin: z.string(), vkey: z.string() }).exactOptional(),
});

export type Role = "admin" | "auditor";

export interface Whoami {
  readonly user: string;
  readonly name: string;
  readonly sub: string;
  readonly issuer: string;
  readonly kind: "human" | "service";
  readonly groups: readonly string[];
  readonly roles: readonly Role[];
  readonly expiresAt: string;
}
export const whoamiSchema: z.ZodType<Whoami> = z.object({
  user: z.string(),
  name: z.string(),
  sub: z.string(),
  issuer: z.string(),
  kind: z.enum(["human", "service"]),
  groups: z.array(z.string()),
  roles: z.array(z.enum(["admin", "auditor"])),
  expiresAt: time,
});

export interface ConnectionView {
  readonly name: string;
  readonly protocol: Protocol;
  readonly api: Api;
  /** At least one agent that serves it is connected. */
  readonly online: boolean;
  readonly requireReason: boolean;
  /** The rules that let this principal in, and what they say. */
  readonly rules: readonly { readonly name: string; readonly verdict: "allow" | "hold" | "block" }[];
}
export interface ConnectionList {
  readonly connections: readonly ConnectionView[];
}
export const connectionListSchema: z.ZodType<ConnectionList> = z.object({
  connections: z.array(
    z.object({
      name: z.string(),
      protocol,
      api,
      online: z.boolean(),
      requireReason: z.boolean(),
      rules: z.array(z.object({ name: z.string(), verdict: z.enum(["allow", "hold", "block"]) })),
    }),
  ),
});

export interface SessionView {
  readonly id: SessionId;
  readonly user: string;
  readonly connection: string;
  readonly state: "live" | "closed";
  readonly openedAt: string;
  readonly closedAt?: string;
  readonly closeReason?: string;
  readonly expiresAt?: string;
  readonly reason?: string;
  readonly ticket?: string;
  readonly host: string;
  readonly client: string;
  readonly calls: number;
  /** Live sessions only. */
  readonly inFlight?: number;
}
export const sessionViewSchema: z.ZodType<SessionView> = z.object({
  id: sessionId,
  user: z.string(),
  connection: z.string(),
  state: z.enum(["live", "closed"]),
  openedAt: time,
  closedAt: time.exactOptional(),
  closeReason: z.string().exactOptional(),
  expiresAt: time.exactOptional(),
  reason: z.string().exactOptional(),
  ticket: z.string().exactOptional(),
  host: z.string(),
  client: z.string(),
  calls: count,
  inFlight: count.exactOptional(),
});
export interface SessionList {
  readonly sessions: readonly SessionView[];
  readonly next?: string;
}
export const sessionListSchema: z.ZodType<SessionList> = z.object({
  sessions: z.array(sessionViewSchema),
  next: z.string().exactOptional(),
});

export interface CallView {
  readonly id: CallId;
  readonly time: string;
  readonly user: string;
  readonly connection: string;
  readonly session: SessionId;
  readonly method: string;
  readonly path: string;
  /** Operation kind: infer, chat, embed … */
  readonly kind: string;
  readonly model?: string;
  readonly rows?: number;
  readonly verdict: "allow" | "hold" | "block";
  readonly rule?: string;
  /** Absent until the call has ended. */
  readonly status?: number;
  readonly durationMs?: number;
  readonly requestBytes?: number;
  readonly deliveredBytes?: number;
  readonly outcome?: string;
  readonly code?: string;
}
export const callViewSchema: z.ZodType<CallView> = z.object({
  id: callId,
  time,
  user: z.string(),
  connection: z.string(),
  session: sessionId,
  method: z.string(),
  path: z.string(),
  kind: z.string(),
  model: z.string().exactOptional(),
  rows: count.exactOptional(),
  verdict: z.enum(["allow", "hold", "block"]),
  rule: z.string().exactOptional(),
  status: count.exactOptional(),
  durationMs: count.exactOptional(),
  requestBytes: count.exactOptional(),
  deliveredBytes: count.exactOptional(),
  outcome: z.string().exactOptional(),
  code: z.string().exactOptional(),
});
export interface CallList {
  readonly calls: readonly CallView[];
  readonly next?: string;
}
export const callListSchema: z.ZodType<CallList> = z.object({
  calls: z.array(callViewSchema),
  next: z.string().exactOptional(),
});

export interface PayloadView {
  readonly field: string;
  /** Of what is kept; of what is gone, as the log tells it. */
  readonly bytes: number;
  readonly state: PayloadState;
  /** `purged`: the retention.purged records of its class and month that came after it; one of them is about it. */
  readonly purges?: readonly number[];
}
const payloadViewSchema = z.object({
  field: z.string(),
  bytes: count,
  state: payloadStateSchema,
  purges: z.array(count).exactOptional(),
});

export interface CallStory {
  readonly call: CallView;
  /** The leaves that speak of this call, in the log's order: index and exact text. */
  readonly records: readonly { readonly index: number; readonly leaf: string }[];
  /** What is kept of it, and what became of the rest. */
  readonly payloads: readonly PayloadView[];
  /** The holds that keep its payloads; told to auditors alone. */
  readonly holds?: readonly HoldId[];
}
export const callStorySchema: z.ZodType<CallStory> = z.object({
  call: callViewSchema,
  records: z.array(z.object({ index: count, leaf: z.string() })),
  payloads: z.array(payloadViewSchema),
  holds: z.array(holdId).exactOptional(),
});

/** Records of the log: index and exact text. */
export interface RecordList {
  readonly records: readonly { readonly index: number; readonly leaf: string }[];
  readonly next?: string;
}
export const recordListSchema: z.ZodType<RecordList> = z.object({
  records: z.array(z.object({ index: count, leaf: z.string() })),
  next: z.string().exactOptional(),
});

/**
 * One line of `format=jsonl`: a record, or (payloads=true) a body, after the record that commits to it; or what became of a
 * body that is not there.
 */
export type ExportLine =
  | { readonly index: number; readonly record: Readonly<Record<string, unknown>> }
  | {
      readonly payload: {
        readonly call: CallId;
        readonly field: string;
        readonly bytes: number;
        /** base64, 32 bytes: opens the record's commitment to this payload. Absent where a crash cut the payload off. */
        readonly salt?: string;
        readonly encoding: "utf8" | "base64";
        readonly data: string;
        /** Destroyed (`purged`) while it was being written here: `data` is the beginning of it. */
        readonly gone?: "purged" | "missing";
      };
    }
  | {
      readonly gone: {
        readonly call: CallId;
        readonly field: string;
        readonly bytes: number;
        /** `missing`: no record says why it is not there. */
        readonly state: "purged" | "missing";
        /** As in PayloadView. */
        readonly purges?: readonly number[];
      };
    };
export const exportLineSchema: z.ZodType<ExportLine> = z.union([
  z.object({ index: count, record: z.record(z.string(), z.unknown()) }),
  z.object({
    payload: z.object({
      call: callId,
      field: z.string(),
      bytes: count,
      salt: z.string().exactOptional(),
      encoding: z.enum(["utf8", "base64"]),
      data: z.string(),
      gone: z.enum(["purged", "missing"]).exactOptional(),
    }),
  }),
  z.object({
    gone: z.object({
      call: callId,
      field: z.string(),
      bytes: count,
      state: z.enum(["purged", "missing"]),
      purges: z.array(count).exactOptional(),
    }),
  }),
]);

/** What shows that a log has only grown (RFC 6962 §2.1.2). */
export interface LogConsistency {
  /** Hashes, 32 bytes each, base64. Empty from 0, and between equal sizes. */
  readonly proof: readonly string[];
}
export const logConsistencySchema: z.ZodType<LogConsistency> = z.object({
  proof: z.array(z.base64().length(44)).max(MAX_PROOF_HASHES),
});

/** How one anchor is doing in this run of the server. */
export interface AnchorView {
  /** Which kind, and where. */
  readonly name: string;
  readonly required: boolean;
  /** The newest checkpoint that it took. */
  readonly published?: { readonly size: number; readonly at: string };
  /** Present while it fails. */
  readonly failing?: { readonly message: string; readonly since: string; readonly consecutive: number };
  readonly failures: number;
  /** Checkpoints that it should have and does not have yet. */
  readonly waiting: number;
  /** Checkpoints that were given up; later ones stand for them. */
  readonly skipped: number;
}
export interface LogStatus {
  readonly origin: string;
  /** C2SP vkey. */
  readonly vkey: string;
  /** Records under the newest checkpoint, and when that was signed. */
  readonly size: number;
  readonly signedAt: string;
  /** Where the checkpoints go is for admins and auditors. */
  readonly anchors?: readonly AnchorView[];
}
export const logStatusSchema: z.ZodType<LogStatus> = z.object({
  origin: z.string(),
  vkey: z.string(),
  size: count,
  signedAt: time,
  anchors: z
    .array(
      z.object({
        name: z.string(),
        required: z.boolean(),
        published: z.object({ size: count, at: time }).exactOptional(),
        failing: z.object({ message: z.string(), since: time, consecutive: count }).exactOptional(),
        failures: count,
        waiting: count,
        skipped: count,
      }),
    )
    .exactOptional(),
});

export interface AgentInstanceView {
  readonly instance: string;
  readonly connectedAt: string;
  readonly version: string;
  readonly inFlight: number;
  readonly connections: readonly string[];
}
export interface AgentView {
  readonly id: AgentId;
  readonly name: string;
  /** Ed25519 public key (RFC 8032): raw 32 bytes, base64. */
  readonly publicKey: string;
  readonly enrolledAt: string;
  readonly revokedAt?: string;
  readonly instances: readonly AgentInstanceView[];
}
export const agentViewSchema: z.ZodType<AgentView> = z.object({
  id: agentId,
  name: z.string(),
  publicKey: z.string(),
  enrolledAt: time,
  revokedAt: time.exactOptional(),
  instances: z.array(
    z.object({
      instance: z.string(),
      connectedAt: time,
      version: z.string(),
      inFlight: count,
      connections: z.array(z.string()),
    }),
  ),
});
export interface AgentList {
  readonly agents: readonly AgentView[];
}
export const agentListSchema: z.ZodType<AgentList> = z.object({ agents: z.array(agentViewSchema) });

const agentName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and hyphens");
export const agentNameSchema: z.ZodType<string> = agentName;

export interface EnrollmentRequest {
  readonly name: string;
  /** 30 to 3,600; how long the one-time token may be used. */
  readonly ttlSeconds: number;
}
export const enrollmentRequestSchema: z.ZodType<EnrollmentRequest> = z.object({
  name: agentName,
  ttlSeconds: z.number().int().min(30).max(3600).default(3600),
});
export interface EnrollmentToken {
  readonly name: string;
  readonly token: string;
  readonly expiresAt: string;
}
export const enrollmentTokenSchema: z.ZodType<EnrollmentToken> = z.object({
  name: agentName,
  token: z.string(),
  expiresAt: time,
});

export interface EnrollRequest {
  readonly token: string;
  readonly name: string;
  /** Raw 32 bytes, base64. */
  readonly publicKey: string;
}
export const enrollRequestSchema: z.ZodType<EnrollRequest> = z.object({
  token: z.string().min(20).max(200),
  name: agentName,
  publicKey: z.base64().length(44, "an Ed25519 public key is 32 bytes"),
});
export interface EnrollReply {
  readonly agent: AgentView;
  /** The origin that the agent must dial and sign (agent-auth.ts). */
  readonly origin: string;
}
export const enrollReplySchema: z.ZodType<EnrollReply> = z.object({ agent: agentViewSchema, origin: z.string() });

export interface ChallengeReply {
  readonly nonce: string;
  readonly expiresAt: string;
}
export const challengeReplySchema: z.ZodType<ChallengeReply> = z.object({ nonce: z.string(), expiresAt: time });

/** What follows `HoopishAgent ` in the upgrade's authorization header: base64url of this object's JSON. */
export interface AgentProof {
  readonly name: string;
  readonly instance: string;
  readonly nonce: string;
  readonly publicKey: string;
  /** Ed25519 over agentClaimBytes, base64. */
  readonly signature: string;
}
export const agentProofSchema: z.ZodType<AgentProof> = z.object({
  name: agentName,
  instance: z.string().min(8).max(64),
  nonce: z.string().min(16).max(128),
  publicKey: z.string().length(44),
  signature: z.string().length(88),
});

export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}
export const errorBodySchema: z.ZodType<ErrorBody> = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() }),
});
