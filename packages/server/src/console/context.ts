import type { Discovery, LockRequest, RecordActor, Role } from "@hoopish/protocol";
import { HoopishError } from "@hoopish/protocol";
import type { Challenges } from "../agents/challenges.ts";
import type { Enrolment } from "../agents/enrolment.ts";
import type { Roster } from "../agents/roster.ts";
import type { Approvals } from "../approvals/approvals.ts";
import type { ConnectionConfig, NotifyConfig } from "../config/config.ts";
import type { Refusals } from "../entry/refusals.ts";
import type { Anchors } from "../evidence/anchors/anchors.ts";
import type { BundlePorts } from "../evidence/bundle/export.ts";
import type { EvidenceLog, EvidenceReader, LogTree } from "../evidence/port.ts";
import type { Retention } from "../evidence/retention/retention.ts";
import type { OpenSpool } from "../evidence/spool.ts";
import type { ActorOf, Identity, Principal } from "../identity/principal.ts";
import { type RoleGroups, rolesOf } from "../identity/roles.ts";
import type { SeenPrincipals } from "../identity/seen-principals.ts";
import type { LockBook } from "../locks/locks.ts";
import type { AnswerInChat } from "../notifications/port.ts";
import type { Policy } from "../policy/policy.ts";
import type { Sessions } from "../sessions/sessions.ts";

/** What the control API needs of the rest of the server. */
export interface ConsolePorts {
  readonly discovery: Discovery;
  readonly origin: string;
  /** The log's own name, first line of its checkpoints. */
  readonly evidenceOrigin: string;
  readonly connections: readonly ConnectionConfig[];
  readonly identity: Identity;
  readonly roles: RoleGroups;
  readonly policy: () => Policy;
  readonly approvals: Approvals;
  /** Whose members may pass themselves under this rule. */
  readonly breakGlassOf: (rule: string) => readonly string[];
  readonly locks: LockBook;
  /** Endpoints that hear of approvals; those of a chat may have buttons. */
  readonly notify: readonly NotifyConfig[];
  readonly answerInChat: AnswerInChat;
  /** Ends what a lock shuts out. @returns how many sessions, or an agent's tunnels */
  readonly lockOut: (lock: LockRequest, by: RecordActor) => Promise<number>;
  readonly seen: SeenPrincipals;
  readonly sessions: Sessions;
  readonly roster: Roster;
  readonly enrolment: Enrolment;
  readonly challenges: Challenges;
  readonly log: EvidenceLog;
  readonly refusals: Refusals;
  readonly reader: EvidenceReader;
  readonly tree: LogTree;
  readonly retention: Retention;
  /** Aborted when the server ends. */
  readonly ending: AbortSignal;
  readonly anchors: Pick<Anchors, "status">;
  /** For bundles. */
  readonly receipts: BundlePorts["receipts"];
  readonly openSpool: OpenSpool;
  readonly actorOf: ActorOf;
  readonly now: () => number;
  readonly draining: () => boolean;
  readonly report: (error: unknown) => void;
}

/** Who asks, as each route sees it. */
export interface Caller {
  readonly principal: Principal;
  readonly actor: RecordActor;
  readonly roles: readonly Role[];
}

export type ConsoleEnv = { Variables: { caller: Caller } };

export function callerOf(principal: Principal, ports: ConsolePorts): Caller {
  return { principal, actor: ports.actorOf(principal), roles: rolesOf(principal, ports.roles) };
}

/** One of these roles is needed. @throws HoopishError access_denied */
export function demand(caller: Caller, ...roles: readonly Role[]): void {
  if (roles.some((role) => caller.roles.includes(role))) return;
  const named = roles.map((role) => `"${role}"`).join(" or ");
  throw new HoopishError("access_denied", `this is for the role ${named}, which your groups do not give`);
}

const MAX_PAGE = 1_000;

/** `limit` of a list. @throws HoopishError bad_request */
export function pageLimit(text: string | undefined): number {
  if (text === undefined) return 50;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new HoopishError("bad_request", `limit is a whole number from 1 to ${MAX_PAGE}`);
  }
  return limit;
}
