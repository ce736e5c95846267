import { createPublicKey, randomBytes, verify } from "node:crypto";
import {
  AGENT_AUTH_SCHEME,
  type AgentProof,
  agentClaimBytes,
  agentProofSchema,
  type ChallengeReply,
  HoopishError,
} from "@hoopish/protocol";
import type { EnrolledAgent } from "./port.ts";

const NONCE_TTL_MS = 30_000;
/** Nonces waiting at one time: anybody may ask for one, so the memory they can take is bounded. */
const MAX_NONCES = 10_000;
/** The SubjectPublicKeyInfo prefix of an Ed25519 key (RFC 8410 §4); the 32 raw bytes follow. */
const ED25519_SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** Gives nonces for one use, and checks the proofs that agents make with them. */
export class Challenges {
  readonly #waiting = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @throws HoopishError rate_limited */
  issue(): ChallengeReply {
    const nowMs = this.#now();
    this.#forgetExpired(nowMs);
    if (this.#waiting.size >= MAX_NONCES) throw new HoopishError("rate_limited", "too many agents ask at once");
    const nonce = randomBytes(24).toString("base64url");
    this.#waiting.set(nonce, nowMs + NONCE_TTL_MS);
    return { nonce, expiresAt: new Date(nowMs + NONCE_TTL_MS).toISOString() };
  }

  /**
   * The agent behind an upgrade's authorization header.
   * @throws HoopishError unauthenticated: no proof, an unknown or used nonce, an unknown or revoked key, a bad signature
   */
  verify(
    authorization: string | undefined,
    origin: string,
    enrolled: readonly EnrolledAgent[],
  ): { readonly agent: EnrolledAgent; readonly instance: string } {
    const proof = parseProof(authorization);
    const expiresAtMs = this.#waiting.get(proof.nonce);
    this.#waiting.delete(proof.nonce);
    if (expiresAtMs === undefined || expiresAtMs <= this.#now()) throw refused("the challenge is unknown, used or old");
    const agent = enrolled.find(({ name, publicKey }) => name === proof.name && publicKey === proof.publicKey);
    if (agent === undefined) throw refused(`no agent "${proof.name}" is enrolled with this key`);
    if (agent.revokedAtMs !== undefined) throw refused(`the key of agent "${proof.name}" is revoked`);
    const claim = agentClaimBytes({ origin, nonce: proof.nonce, name: proof.name, instance: proof.instance });
    if (!verify(null, claim, publicKeyOf(agent.publicKey), Buffer.from(proof.signature, "base64"))) {
      throw refused(`the signature is not over this server's origin, ${origin}, with the enrolled key`);
    }
    return { agent, instance: proof.instance };
  }

  #forgetExpired(nowMs: number): void {
    // Insertion order is expiry order, since every nonce lives equally long.
    for (const [nonce, expiresAtMs] of this.#waiting) {
      if (expiresAtMs > nowMs) return;
      this.#waiting.delete(nonce);
    }
  }
}

/** @throws HoopishError bad_request when it is not a public key */
export function publicKeyOf(raw: string): ReturnType<typeof createPublicKey> {
  try {
    const der = Buffer.concat([ED25519_SPKI_PREFIX, Buffer.from(raw, "base64")]);
    return createPublicKey({ key: der, format: "der", type: "spki" });
  } catch (cause) {
    throw new HoopishError("bad_request", "that is not an Ed25519 public key", { cause });
  }
}

function parseProof(authorization: string | undefined): AgentProof {
  const [scheme, encoded, ...rest] = authorization?.split(" ") ?? [];
  if (scheme !== AGENT_AUTH_SCHEME || encoded === undefined || rest.length > 0 || encoded.length > 4096) {
    throw refused("an agent proves itself with its key; no proof was given");
  }
  try {
    return agentProofSchema.parse(JSON.parse(Buffer.from(encoded, "base64url").toString()));
  } catch (cause) {
    throw new HoopishError("unauthenticated", "the agent's proof is malformed", { cause });
  }
}

const refused = (message: string): HoopishError => new HoopishError("unauthenticated", message);
