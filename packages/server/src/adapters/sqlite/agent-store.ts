import { HoopishError, type RecordDraft } from "@hoopish/protocol";
import type { AgentStore, EnrolledAgent } from "../../agents/port.ts";
import type { WritableLog } from "../../evidence/log.ts";

/** What the writer carries out in one transaction with the record that tells of it. */
export type AgentChange =
  | { readonly kind: "token.add"; readonly sha256: string; readonly name: string; readonly expiresAtMs: number }
  | { readonly kind: "agent.enroll"; readonly sha256: string; readonly agent: EnrolledAgent }
  | { readonly kind: "agent.revoke"; readonly id: string; readonly revokedAtMs: number };

/** What the agent store asks the database. */
export interface AgentQueries {
  agents(): Promise<readonly EnrolledAgent[]>;
  /** Whether the token is unused, of this name, and not expired at `nowMs`. */
  tokenGood(sha256: string, name: string, nowMs: number): Promise<boolean>;
}

/**
 * Agents and tokens. This process alone writes to the store (it holds the lock), so a queue of one makes "look, then
 * write" atomic: a number `n` of the log is given out only when the token is known to be good.
 */
export function createAgentStore(queries: AgentQueries, log: WritableLog): AgentStore {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  const append = async (drafts: readonly RecordDraft[], change: AgentChange): Promise<void> => {
    await log.appendWith(drafts, change);
  };
  return {
    list: () => queries.agents(),
    addToken: (token) => inTurn(() => append([], { kind: "token.add", ...token })),
    enroll: (sha256, agent, nowMs, record) =>
      inTurn(async () => {
        if (!(await queries.tokenGood(sha256, agent.name, nowMs))) return false;
        const agents = await queries.agents();
        if (agents.some(({ publicKey }) => publicKey === agent.publicKey)) {
          throw new HoopishError("conflict", "this key is enrolled already");
        }
        await append([record], { kind: "agent.enroll", sha256, agent });
        return true;
      }),
    revoke: (id, nowMs, record) =>
      inTurn(async () => {
        const agent = (await queries.agents()).find((candidate) => candidate.id === id);
        if (agent === undefined || agent.revokedAtMs !== undefined) return false;
        await append([record], { kind: "agent.revoke", id, revokedAtMs: nowMs });
        return true;
      }),
  };
}
