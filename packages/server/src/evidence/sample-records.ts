import {
  type CallId,
  Committer,
  newSessionId,
  type RecordActor,
  type RecordDraft,
  type SessionId,
} from "@hoopish/protocol";
import type { PayloadPiece } from "./port.ts";

/** Records as the server writes them, for tests. */

const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

export const actorNamed = (name: string): RecordActor => ({
  sub: `sub-of-${name}`,
  iss: "https://login.bank.example",
  name,
  groups_hash: HASH,
  kind: "human",
});

export interface SampleCall {
  readonly call: CallId;
  readonly session?: SessionId;
  readonly user?: string;
  readonly connection?: string;
  readonly verdict?: "allow" | "hold" | "block";
}

const SESSION = newSessionId();

export function decidedDraft(of: SampleCall, pieces: readonly CommittedPiece[] = []): RecordDraft {
  return {
    type: "call.decided",
    actor: actorNamed(of.user ?? "scientist@bank.example"),
    session: of.session ?? SESSION,
    call: of.call,
    connection: of.connection ?? "model-x",
    protocol: "http",
    method: "POST",
    path: "/v1/chat/completions",
    operation: { kind: "chat", model: "llama" },
    verdict: of.verdict ?? "allow",
    policy: HASH,
    ...payloadsOf(pieces),
  };
}

export function answeredDraft(of: SampleCall, pieces: readonly CommittedPiece[] = []): RecordDraft {
  return {
    type: "call.answered",
    actor: actorNamed(of.user ?? "scientist@bank.example"),
    session: of.session ?? SESSION,
    call: of.call,
    connection: of.connection ?? "model-x",
    status: 200,
    duration_ms: 12,
    bytes: { request: 2, delivered: 3 },
    outcome: "complete",
    ...payloadsOf(pieces),
  };
}

export const sessionDraft = (session: SessionId, user = "scientist@bank.example"): RecordDraft => ({
  type: "session.open",
  actor: actorNamed(user),
  session,
  connection: "model-x",
  rule: "scientists",
  host: "laptop-7",
  client: "hoopish/0.1.0",
});

export const closeDraft = (session: SessionId, user = "scientist@bank.example"): RecordDraft => ({
  type: "session.close",
  actor: actorNamed(user),
  session,
  connection: "model-x",
  reason: "closed by the user",
  calls: 1,
});

export interface CommittedPiece {
  readonly piece: PayloadPiece;
  readonly commitment: { readonly c: string; readonly len: number };
}

/** A payload in one piece, with its commitment. */
export function wholePayload(call: CallId, field: PayloadPiece["field"], bytes: Uint8Array): CommittedPiece {
  const committer = new Committer();
  committer.update(bytes);
  return { piece: { call, field, seq: 0, bytes, salt: committer.salt }, commitment: committer.finish() };
}

const payloadsOf = (pieces: readonly CommittedPiece[]): object =>
  pieces.length === 0
    ? {}
    : { payloads: Object.fromEntries(pieces.map(({ piece, commitment }) => [piece.field, commitment])) };
