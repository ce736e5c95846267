import type { AgentId, RecordDraft } from "@hoopish/protocol";

/** An agent that has enrolled: a name and the public half of its key. One name may have several agents. */
export interface EnrolledAgent {
  readonly id: AgentId;
  readonly name: string;
  /** Ed25519 public key: raw 32 bytes, base64. */
  readonly publicKey: string;
  readonly enrolledAtMs: number;
  readonly revokedAtMs: number | undefined;
}

/**
 * Where agents and one-time enrolment tokens are kept. Only the SHA-256 of a token is stored. Each change is durable
 * before its promise resolves, and stands in one transaction with the record that tells of it.
 */
export interface AgentStore {
  list(): Promise<readonly EnrolledAgent[]>;
  addToken(token: { readonly sha256: string; readonly name: string; readonly expiresAtMs: number }): Promise<void>;
  /**
   * Takes the token (unused, not expired, of this name) and adds the agent. Exactly one of two callers with the same token
   * succeeds. Resolves to false, changing nothing and recording nothing, when the token is not good.
   */
  enroll(tokenSha256: string, agent: EnrolledAgent, nowMs: number, record: RecordDraft): Promise<boolean>;
  /** Resolves to false when there is no such agent or it is revoked already. */
  revoke(id: AgentId, nowMs: number, record: RecordDraft): Promise<boolean>;
}
