import {
  type ApprovalId,
  type CallId,
  foldName,
  HoopishError,
  newApprovalId,
  type RecordActor,
  type RecordDraft,
} from "@hoopish/protocol";
import type { EvidenceLog } from "../evidence/port.ts";
import type { Principal } from "../identity/principal.ts";
import { digestOf } from "./digest.ts";
import { decideProblem, isSelf, mayBreakGlass, mayReview, refused } from "./eligibility.ts";
import type { ApprovalDesk, HeldCall, Hold, WaitResult } from "./port.ts";
import { type ApprovalRequest, type Change, deniedError, isOver, openUntil, yeses } from "./request.ts";
import { Watchers } from "./watchers.ts";

export interface ApprovalsOptions {
  readonly log: EvidenceLog;
  readonly now: () => number;
  /** Whose members may pass themselves under this rule, as it stands now. */
  readonly breakGlassOf: (rule: string) => readonly string[];
  /** Who is locked out decides nothing, whichever way he comes. */
  readonly isLocked: (user: string) => boolean;
  readonly report: (error: unknown) => void;
  readonly limits?: { readonly perPrincipal: number; readonly total: number };
}

const LIMITS = { perPrincipal: 20, total: 1_000 };
/** Ended requests that are kept at hand; older ones stand in the log. */
const MAX_ENDED = 10_000;
const SWEEP_MS = 250;

/**
 * Requests for approval and what people said of them. The log is the only place where they are kept: each change is a
 * record that is durable before the change counts, and a server that starts reads them back (load.ts).
 */
export class Approvals implements ApprovalDesk {
  readonly #options: ApprovalsOptions;
  readonly #limits: { readonly perPrincipal: number; readonly total: number };
  readonly #requests = new Map<ApprovalId, ApprovalRequest>();
  /** Those that bind, by what they bind. */
  readonly #byDigest = new Map<string, ApprovalRequest>();
  /** Made by a call whose record is not durable yet: nobody sees them. */
  readonly #unpublished = new Set<ApprovalId>();
  readonly #watchers = new Watchers();
  /** The end of the last change of each: changes of one request happen one after another. */
  readonly #turns = new Map<ApprovalId, Promise<unknown>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ApprovalsOptions, loaded: readonly ApprovalRequest[] = []) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS;
    for (const request of loaded) this.#keep(request);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  get(id: ApprovalId): ApprovalRequest | undefined {
    return this.#unpublished.has(id) ? undefined : this.#requests.get(id);
  }

  /** Newest first. */
  list(): ApprovalRequest[] {
    return [...this.#requests.values()].filter(({ id }) => !this.#unpublished.has(id)).reverse();
  }

  /** Hears of each change once it is durable. @returns how to stop */
  subscribe(listener: (change: Change, request: ApprovalRequest) => void): () => void {
    return this.#watchers.subscribe(listener);
  }

  hold(held: HeldCall): Hold {
    const nowMs = this.#options.now();
    const open = this.#windowFor(held, nowMs);
    if (open !== undefined) return { state: "granted", approval: open.id, isNew: false };
    const digest = digestOf(held);
    const known = this.#byDigest.get(digest);
    if (known !== undefined && known.asked.policy === held.policy && known.expiresAtMs > nowMs) {
      if (known.state.state === "denied") throw deniedError(known);
      if ((openUntil(known) ?? 0) > nowMs) return { state: "granted", approval: known.id, isNew: false };
      if (known.state.state === "pending") {
        known.lastCall = held.call;
        return { state: "waiting", approval: known.id, isNew: false, expiresAtMs: known.expiresAtMs };
      }
    }
    this.#refuseTooMany(held.principal);
    const request = this.#make(held, digest, nowMs);
    this.#requests.set(request.id, request);
    this.#unpublished.add(request.id);
    // A byte-identical call that comes before the record is durable must find this one, and not make another.
    this.#byDigest.set(digest, request);
    return { state: "waiting", approval: request.id, isNew: true, expiresAtMs: request.expiresAtMs };
  }

  requestedDraft(approval: ApprovalId): RecordDraft {
    const { asked, actor, session, call } = this.#requests.get(approval) as ApprovalRequest;
    return { type: "approval.requested", actor, session, call, ...asked };
  }

  published(approval: ApprovalId): void {
    this.#unpublished.delete(approval);
    const request = this.#requests.get(approval);
    if (request !== undefined) this.#watchers.tell("requested", request);
  }

  abandoned(approval: ApprovalId): void {
    const request = this.#requests.get(approval);
    this.#unpublished.delete(approval);
    if (request === undefined) return;
    request.state = { state: "withdrawn", reason: "it could not be recorded" };
    this.#requests.delete(approval);
    this.#unbind(request);
    this.#watchers.settle(request);
  }

  wait(approval: ApprovalId, waitMs: number, signal: AbortSignal): Promise<WaitResult> {
    const request = this.#requests.get(approval);
    if (request === undefined)
      return Promise.resolve({ result: "refused", ...expiredWords("it is not known any more") });
    return this.#watchers.wait(request, waitMs, signal);
  }

  use(approval: ApprovalId, held: HeldCall): Promise<void> {
    return this.#inTurn(approval, async (request) => {
      const nowMs = this.#options.now();
      const until = openUntil(request);
      if (request.state.state === "denied") throw deniedError(request);
      if (request.state.state === "pending") throw new HoopishError("approval_pending", "it is not decided yet");
      if (until === undefined || until <= nowMs) throw expiredError("the approval was used, or its time is over");
      if (request.asked.policy !== held.policy) throw expiredError("the rules changed since it was approved");
      const { scope } = request.asked;
      const same = scope === "session" ? this.#isWindowFor(request, held) : request.digest === digestOf(held);
      if (!same) throw expiredError("the approval is for another request");
      await this.#append({
        type: "approval.used",
        actor: held.actor,
        session: held.session,
        call: held.call,
        ...this.#names(request),
      });
      request.state = { state: "used", atMs: nowMs, untilMs: scope === "session" ? until : undefined };
      if (scope === "call") this.#unbind(request);
      this.#watchers.tell("used", request);
    });
  }

  async withdraw(approval: ApprovalId, call: CallId, reason: string): Promise<void> {
    const request = this.#requests.get(approval);
    // Approved in the very moment in which its caller left: it is there for the call when it comes again.
    if (request?.state.state !== "pending" || request.lastCall !== call || this.#watchers.isAwaited(request)) return;
    await this.#end(request, "withdrawn", reason).catch(this.#options.report);
  }

  /**
   * What a human says of a request. It counts when it is durable.
   * @throws HoopishError access_denied, conflict (decided already), approval_expired, bad_request (no reason)
   */
  decide(
    id: ApprovalId,
    by: { readonly principal: Principal; readonly actor: RecordActor },
    said: {
      readonly decision: "approve" | "deny";
      readonly reason?: string;
      readonly breakGlass?: boolean;
      readonly via?: "slack";
    },
  ): Promise<ApprovalRequest> {
    return this.#inTurn(id, async (request) => {
      const broke = said.breakGlass === true;
      if (this.#options.isLocked(by.principal.user)) throw refused(`${by.principal.user} is locked`);
      this.#checkDecision(request, by.principal, said, broke);
      const nowMs = this.#options.now();
      const common = { actor: by.actor, session: request.session, call: request.call, ...this.#names(request) };
      const reason = said.reason === undefined ? {} : { reason: said.reason.toWellFormed() };
      const via = said.via === undefined ? {} : { via: said.via };
      const entry = { by: by.actor.name, sub: by.actor.sub, iss: by.actor.iss, at: new Date(nowMs).toISOString() };
      if (said.decision === "deny") {
        const words = { by: by.actor.name, reason: said.reason?.toWellFormed() ?? "" };
        await this.#append({ type: "approval.denied", ...common, ...words, ...via });
        request.decisions.push({ ...entry, decision: "deny", ...reason });
        request.state = { state: "denied" };
        this.#settled("denied", request);
        return request;
      }
      const final = broke || yeses(request) + 1 >= request.asked.quorum;
      const untilMs = this.#untilOf(request, nowMs);
      await this.#append({
        type: "approval.granted",
        ...common,
        by: by.actor.name,
        ...reason,
        ...(final ? { final: true as const, until: new Date(untilMs).toISOString() } : {}),
        ...(broke ? { break_glass: true as const } : {}),
        ...via,
      });
      request.decisions.push({ ...entry, decision: "approve", ...reason, ...(broke ? { breakGlass: true } : {}) });
      if (broke) request.brokeGlass = true;
      if (final) request.state = { state: "approved", untilMs };
      this.#settled("granted", request);
      return request;
    });
  }

  /** Somebody else looks at what broke the glass. @throws HoopishError access_denied, conflict */
  review(
    id: ApprovalId,
    by: { readonly principal: Principal; readonly actor: RecordActor; readonly hasRole: boolean },
    reason: string,
  ): Promise<ApprovalRequest> {
    return this.#inTurn(id, async (request) => {
      if (!mayReview(by.principal, request, by.hasRole)) throw refused("a review is another's than who asked");
      if (!request.brokeGlass || request.review !== undefined) throw conflict("no review is owed for this");
      const words = { by: by.actor.name, reason: reason.toWellFormed() };
      await this.#append({ type: "approval.reviewed", actor: by.actor, ...this.#names(request), ...words });
      request.review = { ...words, at: new Date(this.#options.now()).toISOString() };
      this.#watchers.tell("reviewed", request);
      return request;
    });
  }

  /** Other rules are in force: what was asked for or granted under the old ones is over. */
  async policyChanged(hash: string): Promise<void> {
    const old = [...this.#requests.values()].filter((request) => !isOver(request) && request.asked.policy !== hash);
    await Promise.all(
      old.map((request) => this.#end(request, "expired", "the rules changed").catch(this.#options.report)),
    );
  }

  /** Somebody is locked out: what he asked for is over. */
  async userLocked(user: string): Promise<void> {
    const his = [...this.#requests.values()].filter(
      (request) => !isOver(request) && foldName(request.actor.name) === foldName(user),
    );
    await Promise.all(
      his.map((request) => this.#end(request, "withdrawn", "who asked was locked").catch(this.#options.report)),
    );
  }

  #checkDecision(
    request: ApprovalRequest,
    principal: Principal,
    said: { readonly decision: "approve" | "deny"; readonly reason?: string },
    broke: boolean,
  ): void {
    if (broke) {
      if (
        said.decision === "deny" ||
        !mayBreakGlass(principal, request, this.#options.breakGlassOf(request.asked.rule))
      ) {
        throw refused("only who asked may break the glass, and only as a member of a group that the rule names for it");
      }
    } else {
      const problem = decideProblem(principal, request);
      if (problem !== undefined) throw refused(problem);
    }
    if ((said.decision === "deny" || broke) && said.reason === undefined) {
      throw new HoopishError("bad_request", `${broke ? "breaking the glass" : "a denial"} needs a reason`);
    }
    if (request.state.state === "pending" && request.expiresAtMs <= this.#options.now()) {
      throw expiredError("the request's time is over");
    }
    if (request.state.state === "expired") throw expiredError(request.state.reason);
    if (request.state.state !== "pending") throw conflict(`this request is ${request.state.state} already`);
  }

  #untilOf({ asked, expiresAtMs }: ApprovalRequest, nowMs: number): number {
    return asked.scope === "session" ? nowMs + (asked.window_ms ?? 0) : expiresAtMs;
  }

  #windowFor(held: HeldCall, nowMs: number): ApprovalRequest | undefined {
    for (const request of this.#requests.values()) {
      if ((openUntil(request) ?? 0) > nowMs && this.#isWindowFor(request, held)) return request;
    }
    return undefined;
  }

  #isWindowFor({ asked, session, actor }: ApprovalRequest, held: HeldCall): boolean {
    return (
      asked.scope === "session" &&
      session === held.session &&
      asked.rule === held.rule &&
      asked.connection === held.connection &&
      asked.policy === held.policy &&
      isSelf(held.principal, actor)
    );
  }

  #make(held: HeldCall, digest: string, nowMs: number): ApprovalRequest {
    const { approval, operation, contentType, reason, ticket } = held;
    const expiresAtMs = nowMs + approval.expiresMs;
    const id = newApprovalId();
    return {
      id,
      asked: {
        approval: id,
        connection: held.connection,
        rule: held.rule,
        policy: held.policy,
        method: held.method,
        path: held.path.slice(0, 1_024).toWellFormed(),
        operation,
        bytes: held.body.length,
        scope: approval.scope,
        quorum: approval.quorum,
        groups: approval.groups,
        expires: new Date(expiresAtMs).toISOString(),
        ...(approval.scope === "session" ? { window_ms: approval.windowMs } : {}),
        ...(contentType === undefined ? {} : { content_type: contentType.slice(0, 1_024).toWellFormed() }),
        ...(reason === undefined ? {} : { reason: reason.toWellFormed() }),
        ...(ticket === undefined ? {} : { ticket: ticket.toWellFormed() }),
      },
      actor: held.actor,
      session: held.session,
      call: held.call,
      requestedAtMs: nowMs,
      expiresAtMs,
      decisions: [],
      state: { state: "pending" },
      brokeGlass: false,
      lastCall: held.call,
      review: undefined,
      digest,
    };
  }

  #names({ id, asked }: ApprovalRequest): { approval: ApprovalId; connection: string; rule: string } {
    return { approval: id, connection: asked.connection, rule: asked.rule };
  }

  async #append(draft: RecordDraft): Promise<void> {
    await this.#options.log.append([draft]);
  }

  #settled(change: "granted" | "denied", request: ApprovalRequest): void {
    if (request.state.state !== "pending") this.#watchers.settle(request);
    this.#watchers.tell(change, request);
  }

  /** @throws HoopishError evidence_unavailable; then it has not ended */
  #end(request: ApprovalRequest, state: "expired" | "withdrawn", reason: string): Promise<void> {
    return this.#inTurn(request.id, async () => {
      if (isOver(request)) return;
      const { actor, session, call } = request;
      await this.#append({ type: "approval.expired", actor, session, call, ...this.#names(request), reason });
      request.state = { state, reason };
      this.#unbind(request);
      this.#watchers.settle(request);
      this.#watchers.tell("expired", request);
    });
  }

  /** @throws HoopishError not_found */
  async #inTurn<T>(id: ApprovalId, act: (request: ApprovalRequest) => Promise<T>): Promise<T> {
    const request = this.#requests.get(id);
    if (request === undefined || this.#unpublished.has(id)) throw new HoopishError("not_found", "no such request");
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(
      () => act(request),
      () => act(request),
    );
    this.#turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  #keep(request: ApprovalRequest): void {
    this.#requests.set(request.id, request);
    if (request.digest !== undefined) this.#byDigest.set(request.digest, request);
  }

  /** A newer request may be bound to the same bytes by now: it stays. */
  #unbind(request: ApprovalRequest): void {
    const { digest } = request;
    if (digest !== undefined && this.#byDigest.get(digest) === request) this.#byDigest.delete(digest);
  }

  #refuseTooMany(principal: Principal): void {
    let total = 0;
    let mine = 0;
    for (const { state, actor } of this.#requests.values()) {
      if (state.state !== "pending") continue;
      total += 1;
      if (isSelf(principal, actor)) mine += 1;
    }
    if (mine < this.#limits.perPrincipal && total < this.#limits.total) return;
    const whose = mine < this.#limits.perPrincipal ? "too many calls wait" : `${mine} calls of yours wait`;
    throw new HoopishError("rate_limited", `${whose} for an approval already`, {
      hint: "hoopish requests  lists yours",
    });
  }

  #sweep(): void {
    const nowMs = this.#options.now();
    for (const request of this.#requests.values()) {
      const endMs = openUntil(request) ?? (request.state.state === "pending" ? request.expiresAtMs : undefined);
      const due = endMs !== undefined && endMs <= nowMs && !this.#turns.has(request.id);
      if (due) this.#end(request, "expired", "its time was over").catch(this.#options.report);
      else if (request.state.state === "denied" && request.expiresAtMs <= nowMs) this.#unbind(request);
    }
    for (const [id, request] of this.#requests) {
      if (this.#requests.size <= MAX_ENDED) break;
      if (isOver(request) && !(request.brokeGlass && request.review === undefined)) this.#requests.delete(id);
    }
  }
}

const expiredWords = (message: string): { code: "approval_expired"; message: string } => ({
  code: "approval_expired",
  message,
});
const expiredError = (message: string): HoopishError => new HoopishError("approval_expired", message);
const conflict = (message: string): HoopishError => new HoopishError("conflict", message);
