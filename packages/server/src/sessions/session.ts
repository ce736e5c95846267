import type { CallEvent, RecordActor, SessionEvent, SessionId, SessionView } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import { type EndListener, EndListeners, type SessionEnd } from "./end-listeners.ts";

export interface SessionFacts {
  readonly id: SessionId;
  readonly connection: ConnectionConfig;
  readonly rule: string;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
  readonly host: string;
  readonly client: string;
  readonly previous: SessionId | undefined;
  /** Its client shows each call as it ends. */
  readonly tellsCalls: boolean;
  readonly openedAtMs: number;
}

/**
 * One principal's use of one connection. It ends once: by its owner, a revocation, idleness, its absolute end or its
 * token's end; then everything that runs in it is cut (`onEnd`), and no call starts in it any more.
 */
export class Session {
  readonly facts: SessionFacts;
  readonly #listeners = new EndListeners();
  readonly #emit: (event: SessionEvent) => void;
  #principal: Principal;
  #actor: RecordActor;
  #end: SessionEnd | undefined;
  #lastUsedMs: number;
  calls = 0;
  inFlight = 0;

  constructor(facts: SessionFacts, principal: Principal, actor: RecordActor, emit: (event: SessionEvent) => void) {
    this.facts = facts;
    this.#principal = principal;
    this.#actor = actor;
    this.#emit = emit;
    this.#lastUsedMs = facts.openedAtMs;
  }

  get id(): SessionId {
    return this.facts.id;
  }
  get connection(): ConnectionConfig {
    return this.facts.connection;
  }
  get principal(): Principal {
    return this.#principal;
  }
  get actor(): RecordActor {
    return this.#actor;
  }
  get ended(): SessionEnd | undefined {
    return this.#end;
  }

  /** The session's last moment, Unix ms: the token's expiry or its absolute end, whichever comes first. */
  get expiresAtMs(): number {
    return Math.min(this.#principal.expiresAtMs, this.facts.openedAtMs + this.connection.maxSessionMs);
  }

  /** A newer token of the same subject. The caller has checked that the grant still stands. */
  renew(principal: Principal, actor: RecordActor): void {
    this.#principal = principal;
    this.#actor = actor;
  }

  /** Tells the listener when the session ends; at once when it has. No AbortSignal: every call listens, and events cost. */
  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners.add(listener);
    else listener.sessionEnded(this.#end);
  }

  offEnd(listener: EndListener): void {
    this.#listeners.remove(listener);
  }

  callStarted(nowMs: number): void {
    this.calls += 1;
    this.inFlight += 1;
    this.#lastUsedMs = nowMs;
  }

  /** `event` is made only for a session whose client looks at its calls. */
  callEnded(nowMs: number, event: () => CallEvent): void {
    this.inFlight -= 1;
    this.#lastUsedMs = nowMs;
    if (this.facts.tellsCalls && this.#end === undefined) this.#emit(event());
  }

  /** Why the session should end now, if it should. A running call keeps a session from being idle. */
  overdue(nowMs: number): SessionEnd | undefined {
    if (nowMs >= this.#principal.expiresAtMs) {
      return { reason: "the sign-in expired and was not renewed", code: "unauthenticated" };
    }
    if (nowMs >= this.facts.openedAtMs + this.connection.maxSessionMs) {
      return { reason: "the session reached its longest duration", code: "session_closed" };
    }
    if (this.inFlight === 0 && nowMs >= this.#lastUsedMs + this.connection.idleMs) {
      return { reason: "the session was idle", code: "session_closed" };
    }
    return undefined;
  }

  /** Other rules are in force: what runs is judged again. */
  policyChanged(): void {
    for (const listener of this.#listeners.snapshot()) listener.policyChanged?.();
  }

  /** Ends it, once. @returns false when it has ended before. */
  end(end: SessionEnd): boolean {
    if (this.#end !== undefined) return false;
    this.#end = end;
    if (end.mayReturn !== true) this.#emit({ event: "revoked", code: end.code, reason: end.reason });
    for (const listener of this.#listeners.takeAll()) listener.sessionEnded(end);
    return true;
  }

  notify(event: SessionEvent): void {
    if (this.#end === undefined) this.#emit(event);
  }

  view(): SessionView {
    const { facts } = this;
    return {
      id: facts.id,
      user: this.#principal.user,
      connection: facts.connection.name,
      state: this.#end === undefined ? "live" : "closed",
      openedAt: new Date(facts.openedAtMs).toISOString(),
      expiresAt: new Date(this.expiresAtMs).toISOString(),
      ...(facts.reason === undefined ? {} : { reason: facts.reason }),
      ...(facts.ticket === undefined ? {} : { ticket: facts.ticket }),
      host: facts.host,
      client: facts.client,
      calls: this.calls,
      inFlight: this.inFlight,
    };
  }
}
