import type { StoredRecord } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { Policy } from "./policy.ts";
import type { Charge } from "./question.ts";
import { type DecidedRecord, recordedQuestion } from "./recorded-question.ts";

/** The longest window of any rate; 0: there is none, and nothing has to be remembered. */
export function longestWindowMs(policy: Policy): number {
  return Math.max(0, ...policy.rules.map(({ rate }) => rate?.perMs ?? 0));
}

/**
 * Charges what the log tells of calls that went on, so that a restart gives no budget back. Each is charged by the rules in force
 * now. The log has a hash of a caller's groups: he is taken to be in those of the rules that let him in. For a rule that
 * looks into bodies they are empty.
 */
export class UsageRestorer {
  readonly #policy: Policy;
  readonly #connections: ReadonlyMap<string, ConnectionConfig>;
  readonly #charge: (charge: Charge, atMs: number) => void;
  readonly #groups = new Map<string, Set<string>>();
  /** Held calls, until their approval is used. */
  readonly #held = new Map<string, readonly Charge[]>();

  constructor(
    policy: Policy,
    connections: readonly ConnectionConfig[],
    charge: (charge: Charge, atMs: number) => void,
  ) {
    this.#policy = policy;
    this.#connections = new Map(connections.map((one) => [one.name, one]));
    this.#charge = charge;
  }

  /** In the log's order. */
  add(record: StoredRecord): void {
    if (record.type === "session.open" && record.actor !== undefined) this.#learn(record.actor.name, record.rule);
    if (record.type === "approval.used" && record.call !== undefined) {
      const held = this.#held.get(record.call) ?? [];
      this.#held.delete(record.call);
      for (const charge of held) this.#charge(charge, Date.parse(record.time));
    }
    if (record.type === "call.decided" && record.verdict !== "block") this.#decided(record);
  }

  #learn(user: string, rule: string | undefined): void {
    const known = this.#groups.get(user) ?? new Set();
    this.#groups.set(user, known);
    for (const group of this.#policy.rules.find(({ name }) => name === rule)?.groups ?? []) known.add(group);
  }

  #decided(record: DecidedRecord): void {
    const { actor, call, verdict } = record;
    const connection = this.#connections.get(record.connection);
    if (connection === undefined || actor === undefined || actor.kind === "agent") return;
    this.#learn(actor.name, record.rule);
    const groups = [...(this.#groups.get(actor.name) ?? [])];
    const judged = this.#policy.judge(recordedQuestion(record, actor, connection, { groups }));
    if (judged.verdict === "block") return;
    const atMs = Date.parse(record.time);
    if (verdict === "hold" && call !== undefined) this.#held.set(call, judged.charges);
    else for (const charge of judged.charges) this.#charge(charge, atMs);
  }
}
