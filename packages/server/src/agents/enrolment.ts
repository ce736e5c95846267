import { createHash, randomBytes } from "node:crypto";
import {
  type AgentId,
  type EnrollmentRequest,
  type EnrollmentToken,
  type EnrollRequest,
  HoopishError,
  newAgentId,
  type RecordActor,
} from "@hoopish/protocol";
import { publicKeyOf } from "./challenges.ts";
import type { AgentStore, EnrolledAgent } from "./port.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Which keys may act as which agent. Kept in memory beside the store: this server is the only writer. */
export class Enrolment {
  readonly #store: AgentStore;
  readonly #now: () => number;
  readonly #origin: string;
  #agents: readonly EnrolledAgent[];

  private constructor(store: AgentStore, now: () => number, origin: string, agents: readonly EnrolledAgent[]) {
    this.#store = store;
    this.#now = now;
    this.#origin = origin;
    this.#agents = agents;
  }

  static async load(store: AgentStore, now: () => number, origin: string): Promise<Enrolment> {
    return new Enrolment(store, now, origin, await store.list());
  }

  get agents(): readonly EnrolledAgent[] {
    return this.#agents;
  }

  /** A token for one use. Only its hash is kept: what this returns is the only copy. */
  async invite(ask: EnrollmentRequest): Promise<EnrollmentToken> {
    const token = `hpe_${randomBytes(32).toString("base64url")}`;
    const expiresAtMs = this.#now() + ask.ttlSeconds * 1000;
    await this.#store.addToken({ sha256: sha256(token), name: ask.name, expiresAtMs });
    return { name: ask.name, token, expiresAt: new Date(expiresAtMs).toISOString() };
  }

  /** @throws HoopishError unauthenticated (the token), bad_request (the key), conflict (the key is enrolled already) */
  async enroll(ask: EnrollRequest): Promise<EnrolledAgent> {
    publicKeyOf(ask.publicKey);
    if (this.#agents.some(({ publicKey }) => publicKey === ask.publicKey)) {
      throw new HoopishError("conflict", "this key is enrolled already", { hint: "make a new key for a new agent" });
    }
    const nowMs = this.#now();
    const agent: EnrolledAgent = {
      id: newAgentId(),
      name: ask.name,
      publicKey: ask.publicKey,
      enrolledAtMs: nowMs,
      revokedAtMs: undefined,
    };
    const taken = await this.#store.enroll(sha256(ask.token), agent, nowMs, {
      type: "agent.enrolled",
      actor: agentActor(agent, this.#origin),
      agent: agent.id,
      name: agent.name,
      key: agent.publicKey,
    });
    if (!taken) {
      throw new HoopishError("unauthenticated", "the enrolment token is used, expired or not for this name", {
        hint: `an administrator makes a new one: hoopish agent enroll ${ask.name}`,
      });
    }
    this.#agents = [...this.#agents, agent];
    return agent;
  }

  /** @throws HoopishError not_found */
  async revoke(id: AgentId, by: RecordActor): Promise<EnrolledAgent> {
    const agent = this.#agents.find((candidate) => candidate.id === id && candidate.revokedAtMs === undefined);
    const nowMs = this.#now();
    if (agent === undefined) throw new HoopishError("not_found", "no such agent, or it is revoked already");
    const record = { type: "agent.revoked", actor: by, agent: id, name: agent.name, by: by.name } as const;
    if (!(await this.#store.revoke(id, nowMs, record))) {
      throw new HoopishError("not_found", "no such agent, or it is revoked already");
    }
    const revoked = { ...agent, revokedAtMs: nowMs };
    this.#agents = this.#agents.map((candidate) => (candidate.id === id ? revoked : candidate));
    return revoked;
  }
}

/** An agent as the actor of a record: its issuer is the gateway itself. */
export function agentActor(agent: EnrolledAgent, origin: string): RecordActor {
  return { sub: agent.id, iss: origin, name: agent.name, groups_hash: sha256(""), kind: "agent" };
}
