import type { RecordActor, StoredRecord } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { Policy } from "./policy.ts";
import { type Charge, NO_USAGE, type Usage } from "./question.ts";
import { type DecidedRecord, recordedQuestion } from "./recorded-question.ts";

export interface ChangedCall {
  readonly call: string;
  readonly time: string;
  readonly user: string;
  readonly connection: string;
  readonly kind: string;
  readonly rows?: number;
  /** `allow (scientists)`. */
  readonly was: string;
  readonly would: string;
}

export interface Simulation {
  readonly calls: number;
  readonly same: number;
  readonly changed: readonly ChangedCall[];
  /** Calls to connections that this configuration does not have. */
  readonly elsewhere: number;
  /** Users whose groups the log does not tell: they were taken to be in the groups of the rule that let them in. */
  readonly guessed: readonly string[];
  /** A rule looks at bodies or headers, which records do not hold: for it they were empty. */
  readonly blind: boolean;
}

/**
 * What these rules would have said of recorded calls. The log holds a hash of a caller's groups and not the groups, so they
 * come from `groupsOf`, or are those of the rule (of these rules, by its name) that the record names.
 */
export class Simulator {
  readonly #policy: Policy;
  readonly #connections: ReadonlyMap<string, ConnectionConfig>;
  readonly #groupsOf: ReadonlyMap<string, readonly string[]>;
  readonly #guessed = new Map<string, Set<string>>();
  readonly #spent = new Map<string, { timeMs: number; charge: Charge }[]>();
  readonly #changed: ChangedCall[] = [];
  #calls = 0;
  #same = 0;
  #elsewhere = 0;

  constructor(
    policy: Policy,
    connections: readonly ConnectionConfig[],
    groupsOf: ReadonlyMap<string, readonly string[]> = new Map(),
  ) {
    this.#policy = policy;
    this.#connections = new Map(connections.map((one) => [one.name, one]));
    this.#groupsOf = groupsOf;
  }

  /** Records come in the log's order; those that decide no call teach who was let in by which rule. */
  add(record: StoredRecord): void {
    if (record.type === "session.open") this.#learn(record.actor, record.rule);
    if (record.type === "call.decided") this.#judge(record);
  }

  result(): Simulation {
    return {
      calls: this.#calls,
      same: this.#same,
      changed: this.#changed,
      elsewhere: this.#elsewhere,
      guessed: [...this.#guessed.keys()].filter((user) => !this.#groupsOf.has(user)),
      blind: this.#policy.rules.some(({ when }) => when !== undefined && /\b(json|headers)\b/.test(when)),
    };
  }

  #learn(actor: RecordActor | undefined, rule: string): void {
    if (actor === undefined || actor.kind === "agent") return;
    const known = this.#guessed.get(actor.name) ?? new Set();
    this.#guessed.set(actor.name, known);
    for (const group of this.#policy.rules.find(({ name }) => name === rule)?.groups ?? []) known.add(group);
  }

  #judge(record: DecidedRecord): void {
    const { actor, operation, verdict: was, rule } = record;
    if (actor === undefined || actor.kind === "agent") return;
    this.#calls += 1;
    const connection = this.#connections.get(record.connection);
    if (connection === undefined) {
      this.#elsewhere += 1;
      return;
    }
    if (rule !== undefined) this.#learn(actor, rule);
    const timeMs = Date.parse(record.time);
    const now = this.#policy.judge(
      recordedQuestion(record, actor, connection, {
        groups: this.#groupsOf.get(actor.name) ?? [...(this.#guessed.get(actor.name) ?? [])],
        usage: (key, perMs) => this.#usage(key, perMs, timeMs),
      }),
    );
    if (now.verdict !== "block") for (const charge of now.charges) this.#charge(charge, timeMs);
    // What was refused before policy had its say (a broken request, a store that could not write) would be so again.
    const unjudged = was === "block" && record.code !== undefined && !POLICY_CODES.has(record.code);
    if (unjudged || (now.verdict === was && now.rule === rule)) {
      this.#same += 1;
      return;
    }
    this.#changed.push({
      ...{ call: record.call ?? "", time: record.time, user: actor.name, connection: record.connection },
      kind: operation.kind,
      ...(operation.rows === undefined ? {} : { rows: operation.rows }),
      ...{ was: told(was, rule), would: told(now.verdict, now.rule) },
    });
  }

  #charge(charge: Charge, timeMs: number): void {
    const spent = this.#spent.get(charge.key) ?? [];
    this.#spent.set(charge.key, spent);
    while (spent.length > 0 && (spent[0] as { timeMs: number }).timeMs <= timeMs - charge.perMs) spent.shift();
    spent.push({ timeMs, charge });
  }

  #usage(key: string, perMs: number, timeMs: number): Usage {
    let { calls, rows, tokens } = NO_USAGE;
    for (const one of this.#spent.get(key) ?? []) {
      if (one.timeMs <= timeMs - perMs) continue;
      calls += one.charge.calls;
      rows += one.charge.rows;
      tokens += one.charge.tokens;
    }
    return { calls, rows, tokens };
  }
}

/** What a verdict refuses with. */
const POLICY_CODES: ReadonlySet<string> = new Set(["access_denied", "policy_blocked", "rate_limited"]);

const told = (verdict: string, rule: string | undefined): string =>
  rule === undefined ? verdict : `${verdict} (${rule})`;
