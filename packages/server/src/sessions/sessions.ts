import {
  foldName,
  HoopishError,
  newSessionId,
  type RecordDraft,
  type SessionEvent,
  type SessionId,
  type SessionOpen,
} from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { EvidenceLog } from "../evidence/port.ts";
import type { ActorOf, Principal } from "../identity/principal.ts";
import type { Locks } from "../locks/port.ts";
import type { Policy } from "../policy/policy.ts";
import type { SessionEnd } from "./end-listeners.ts";
import { Session } from "./session.ts";

export interface SessionsOptions {
  readonly connections: ReadonlyMap<string, ConnectionConfig>;
  readonly policy: () => Policy;
  readonly locks: Locks;
  readonly log: EvidenceLog;
  readonly actorOf: ActorOf;
  readonly now: () => number;
  /** Live sessions of one principal, at most. */
  readonly maxPerPrincipal?: number;
  /** Live sessions of the server, at most. */
  readonly maxLive?: number;
}

const SWEEP_MS = 500;

/** The live sessions: opens them against the policy, ends them, and records both. */
export class Sessions {
  readonly #live = new Map<SessionId, Session>();
  readonly #options: SessionsOptions;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#live.size;
  }
  get(id: SessionId): Session | undefined {
    return this.#live.get(id);
  }
  list(): Session[] {
    return [...this.#live.values()];
  }

  /**
   * Opens a session once its record is durable.
   * @throws HoopishError access_denied (also for a connection that does not exist: names are not given away),
   * bad_request (a reason is required), rate_limited, evidence_unavailable
   */
  async open(principal: Principal, ask: SessionOpen, emit: (event: SessionEvent) => void): Promise<Session> {
    const { policy, log, actorOf, now } = this.#options;
    const connection = this.#options.connections.get(ask.connection);
    const admission = policy().admits(principal, ask.connection);
    const lock = this.#lockOf(principal, ask.connection);
    if (lock !== undefined) {
      const client = { reason: lock, client: ask.client };
      await log.append([{ type: "auth.refused", actor: actorOf(principal), code: "access_denied", ...client }]);
      throw new HoopishError("access_denied", lock);
    }
    if (connection === undefined || !admission.admitted) {
      const message = `${principal.user} may not use "${ask.connection}", or there is no such connection`;
      await log.append([
        { type: "auth.refused", actor: actorOf(principal), code: "access_denied", reason: message, client: ask.client },
      ]);
      throw new HoopishError("access_denied", message, { hint: "hoopish connections  shows what you may use" });
    }
    if (connection.requireReason && ask.reason === undefined) {
      throw new HoopishError("bad_request", `${connection.name} asks for a reason`, {
        hint: `hoopish connect ${connection.name} --reason "why you need it"`,
      });
    }
    this.#refuseTooMany(principal);
    const session = new Session(
      {
        id: newSessionId(),
        connection,
        rule: admission.rule,
        reason: ask.reason,
        ticket: ask.ticket,
        host: ask.host,
        client: ask.client,
        previous: ask.previous,
        tellsCalls: ask.calls === true,
        openedAtMs: now(),
      },
      principal,
      actorOf(principal),
      emit,
    );
    this.#live.set(session.id, session);
    try {
      await log.append([openRecord(session)]);
    } catch (error) {
      this.#live.delete(session.id);
      throw error;
    }
    return session;
  }

  /** Ends a session and records it. Ending one that has ended is no error. */
  async end(session: Session, end: SessionEnd): Promise<void> {
    if (!session.end(end)) return;
    this.#live.delete(session.id);
    const close = {
      connection: session.connection.name,
      reason: end.reason,
      calls: session.calls,
      ...(end.by === undefined ? {} : { by: end.by }),
    };
    await this.#options.log.append([{ type: "session.close", actor: session.actor, session: session.id, ...close }]);
  }

  /** Takes a newer token into the sessions of one tunnel; a session whose grant is gone ends. */
  async renew(sessions: Iterable<Session>, principal: Principal): Promise<void> {
    const actor = this.#options.actorOf(principal);
    for (const session of sessions) {
      const { name } = session.connection;
      if (this.#options.policy().admits(principal, name).admitted && this.#lockOf(principal, name) === undefined) {
        session.renew(principal, actor);
      } else {
        await this.end(session, { reason: "access was withdrawn", code: "access_denied" });
      }
    }
  }

  /** A lock was set: what it shuts out ends, at once. @returns how many sessions */
  async lockOut(kind: "user" | "connection", name: string, reason: string, by: string): Promise<number> {
    const shut = this.list().filter((one) =>
      kind === "user" ? foldName(one.principal.user) === foldName(name) : one.connection.name === name,
    );
    const end: SessionEnd = { reason: `locked: ${reason}`, code: "access_denied", by };
    await Promise.allSettled(shut.map((session) => this.end(session, end)));
    return shut.length;
  }

  /** Other rules are in force: sessions without a grant end, and what runs in the others is judged again. */
  async policyChanged(): Promise<void> {
    const ending: Promise<void>[] = [];
    for (const session of this.list()) {
      if (this.#options.policy().admits(session.principal, session.connection.name).admitted) session.policyChanged();
      else ending.push(this.end(session, { reason: "access was withdrawn: the rules changed", code: "access_denied" }));
    }
    await Promise.allSettled(ending);
  }

  #lockOf(principal: Principal, connection: string): string | undefined {
    const { locks } = this.#options;
    const lock = locks.find("user", principal.user) ?? locks.find("connection", connection);
    return lock === undefined ? undefined : `${lock.kind} ${lock.name} is locked`;
  }

  async endAll(end: SessionEnd): Promise<void> {
    await Promise.allSettled(this.list().map((session) => this.end(session, end)));
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  #sweep(): void {
    const nowMs = this.#options.now();
    for (const session of this.#live.values()) {
      const end = session.overdue(nowMs);
      // The session is cut at once; a store that cannot write shows in /readyz and refuses all that follows.
      if (end !== undefined) this.end(session, end).catch(() => undefined);
    }
  }

  #refuseTooMany(principal: Principal): void {
    const { maxPerPrincipal = 1_000, maxLive = 20_000 } = this.#options;
    let mine = 0;
    for (const session of this.#live.values()) {
      if (session.principal.sub === principal.sub && session.principal.issuer === principal.issuer) mine += 1;
    }
    if (mine >= maxPerPrincipal || this.#live.size >= maxLive) {
      throw new HoopishError("rate_limited", "too many sessions are open", { hint: "hoopish sessions  lists yours" });
    }
  }
}

function openRecord(session: Session): RecordDraft {
  const { facts } = session;
  return {
    type: "session.open",
    actor: session.actor,
    session: session.id,
    connection: facts.connection.name,
    rule: facts.rule,
    host: facts.host.toWellFormed(),
    client: facts.client.toWellFormed(),
    ...(facts.reason === undefined ? {} : { reason: facts.reason.toWellFormed() }),
    ...(facts.ticket === undefined ? {} : { ticket: facts.ticket.toWellFormed() }),
    ...(facts.previous === undefined ? {} : { previous: facts.previous }),
  };
}
