import { createHash } from "node:crypto";
import { canonicalize, type Json } from "@hoopish/protocol";
import { type Condition, compileCondition } from "../conditions/condition.ts";
import type { ApprovalConfig, RuleConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import { type RoleGroups, rolesOf } from "../identity/roles.ts";
import { contextOf } from "./context.ts";
import type { Charge, PolicyQuestion, Verdict } from "./question.ts";
import { chargeFor, isExceeded } from "./rates.ts";

/**
 * Who may do what. Pure: the same rules and the same question give the same verdict, with no clock, store or network.
 * Default deny: without a rule that allows, the answer is no. Block beats hold beats allow; among equals the first in the
 * file speaks. A hold that names nobody is about everybody who was let in by another rule: it makes no guests.
 */
export interface Policy {
  /** SHA-256 (hex) of the rules' canonical form; stands in every record of a decision. */
  readonly hash: string;
  readonly ruleCount: number;
  readonly rules: readonly RuleConfig[];
  /** The rules that let this principal use the connection, in the file's order. */
  grants(principal: Principal, connection: string): readonly RuleConfig[];
  /** Whether a session may be opened: some call of it may pass. */
  admits(principal: Principal, connection: string): Admission;
  /** Whether a verdict about this principal here may depend on the request's body. */
  needsBody(principal: Principal, connection: string): boolean;
  judge(question: PolicyQuestion): Verdict;
  /** Each rule about this principal and connection, and whether it speaks of the call. */
  explain(question: PolicyQuestion): readonly RuleFinding[];
}

export type Admission =
  | { readonly admitted: true; readonly rule: string }
  | { readonly admitted: false; readonly message: string };

export interface RuleFinding {
  readonly name: string;
  readonly then: "allow" | "hold" | "block";
  readonly matched: boolean;
  readonly why: string;
}

export interface PolicyParts {
  readonly rules: readonly RuleConfig[];
  readonly roles: RoleGroups;
  readonly timeZone: string;
  /** Not judged by, but a part of what is in force: the hash tells of it. */
  readonly masking?: readonly object[];
}

interface Rule {
  readonly config: RuleConfig;
  readonly condition: Condition | undefined;
}

/** The rules about one principal and one connection. */
interface Candidates {
  readonly auditor: boolean;
  readonly rules: readonly Rule[];
  readonly needsBody: boolean;
}

/** @throws what compileCondition throws: the configuration was not checked */
export function compilePolicy({ rules, roles, timeZone, masking = [] }: PolicyParts): Policy {
  const hash = createHash("sha256")
    .update(canonicalize({ rules, roles, timeZone, ...(masking.length === 0 ? {} : { masking }) } as unknown as Json))
    .digest("hex");
  const compiled = rules.map((config) => ({
    config,
    condition: config.when === undefined ? undefined : compileCondition(config.when),
  }));
  const known = new WeakMap<Principal, Map<string, Candidates>>();
  const candidates = (principal: Principal, connection: string): Candidates => {
    let of = known.get(principal);
    if (of === undefined) {
      of = new Map();
      known.set(principal, of);
    }
    let found = of.get(connection);
    if (found === undefined) {
      found = findCandidates(compiled, roles, principal, connection);
      // Names of connections come from callers too: only those that rules know are remembered.
      if (of.size < 1_000) of.set(connection, found);
    }
    return found;
  };
  return {
    hash,
    ruleCount: rules.length,
    rules,
    grants: (principal, connection) =>
      candidates(principal, connection)
        .rules.filter((rule) => isGrant(rule, principal))
        .map(({ config }) => config),
    admits: (principal, connection) => admission(candidates(principal, connection), principal, connection),
    needsBody: (principal, connection) => candidates(principal, connection).needsBody,
    judge: (question) => judge(candidates(question.principal, question.connection.name), question, timeZone),
    explain: (question) => explain(candidates(question.principal, question.connection.name), question, timeZone),
  };
}

function findCandidates(
  rules: readonly Rule[],
  roles: RoleGroups,
  principal: Principal,
  connection: string,
): Candidates {
  const about = rules.filter(
    ({ config }) => isAbout(config, connection) && (isNobody(config) || names(config, principal)),
  );
  const needsBody = about.some(({ config, condition }) => {
    const counts = config.rate?.rows !== undefined || config.rate?.tokens !== undefined;
    return config.verdict === "hold" || counts || condition?.readsBody === true;
  });
  return { auditor: rolesOf(principal, roles).includes("auditor"), rules: about, needsBody };
}

function isAbout(rule: RuleConfig, connection: string): boolean {
  return rule.connections.includes("*") || rule.connections.includes(connection);
}

const isNobody = ({ groups, users, services }: RuleConfig): boolean =>
  groups.length + users.length + services.length === 0;

/** Humans match by group or user, workloads by `services` alone: a workload cannot slip in through a user's name. */
function names(rule: RuleConfig, principal: Principal): boolean {
  if (principal.kind === "service") return rule.services.includes(principal.user);
  return rule.users.includes(principal.user) || principal.groups.some((group) => rule.groups.includes(group));
}

const isGrant = ({ config }: Rule, principal: Principal): boolean =>
  config.verdict !== "block" && !isNobody(config) && names(config, principal);

function admission({ auditor, rules }: Candidates, principal: Principal, connection: string): Admission {
  // Who examines the log has no part in what it tells of.
  if (auditor) return { admitted: false, message: "auditors read the log and never connect" };
  const shut = rules.find(
    ({ config }) => config.verdict === "block" && config.when === undefined && config.rate === undefined,
  );
  if (shut !== undefined) return { admitted: false, message: messageOf(shut.config) };
  const grant = rules.find((rule) => isGrant(rule, principal));
  if (grant === undefined) return { admitted: false, message: noRule(principal, connection) };
  return { admitted: true, rule: grant.config.name };
}

const noRule = (principal: Principal, connection: string): string => `no rule lets ${principal.user} use ${connection}`;
const messageOf = ({ name, message }: RuleConfig): string => message ?? `blocked by the rule ${name}`;

function judge({ auditor, rules }: Candidates, question: PolicyQuestion, timeZone: string): Verdict {
  const { principal, connection } = question;
  if (auditor) return denied("auditors read the log and never connect");
  const context = contextOf(question, timeZone);
  let hold: Rule | undefined;
  let allow: Rule | undefined;
  let spent: Rule | undefined;
  let granted = false;
  const charges: Charge[] = [];
  for (const rule of rules) {
    const { config } = rule;
    const speaks = matches(rule, question, context);
    if (speaks === "error") return failed(config.name);
    if (!speaks) continue;
    const exceeded = config.rate !== undefined && isExceeded(config, config.rate, question);
    if (config.rate !== undefined) charges.push(chargeFor(config, config.rate, question));
    if (config.verdict === "allow") {
      if (exceeded) spent ??= rule;
      else {
        granted = true;
        allow ??= rule;
      }
      continue;
    }
    // A hold or a block with a rate speaks only of what goes beyond it.
    if (config.rate !== undefined && !exceeded) continue;
    if (config.verdict === "block") return blocked(config);
    if (!isNobody(config)) granted = true;
    hold ??= rule;
  }
  if (!granted) return spent === undefined ? denied(noRule(principal, connection.name)) : limited(spent.config);
  if (hold !== undefined)
    return { verdict: "hold", rule: hold.config.name, approval: approvalOf(hold.config), charges };
  return { verdict: "allow", rule: (allow as Rule).config.name, charges };
}

/** Operations that ask for rows: where it is not known how many, no rule that counts them can be answered. */
const COUNTED: ReadonlySet<string> = new Set(["infer", "embed", "complete"]);

function matches({ condition }: Rule, question: PolicyQuestion, context: object): boolean | "error" {
  if (condition === undefined) return true;
  if (condition.readsRows && question.call.rows === undefined && COUNTED.has(question.call.kind)) return "error";
  try {
    return condition.evaluate(context);
  } catch {
    return "error";
  }
}

function explain({ rules }: Candidates, question: PolicyQuestion, timeZone: string): RuleFinding[] {
  const context = contextOf(question, timeZone);
  return rules.map((rule) => {
    const { name, verdict, when } = rule.config;
    const speaks = matches(rule, question, context);
    const condition = when === undefined ? "it has no condition" : `${when} is ${speaks}`;
    const why = speaks === "error" ? `${when} cannot be answered, and so blocks` : condition;
    // biome-ignore lint/suspicious/noThenProperty: the configuration's word; a finding is never awaited
    return { name, then: verdict, matched: speaks !== false, why };
  });
}

/** The schema demands one of every hold. */
const approvalOf = ({ approval }: RuleConfig): ApprovalConfig => approval as ApprovalConfig;

const denied = (message: string): Verdict => ({ verdict: "block", rule: undefined, code: "access_denied", message });
const blocked = (config: RuleConfig): Verdict =>
  config.rate === undefined
    ? { verdict: "block", rule: config.name, code: "policy_blocked", message: messageOf(config) }
    : { verdict: "block", rule: config.name, code: "rate_limited", message: messageOf(config) };
const limited = ({ name }: RuleConfig): Verdict => ({
  verdict: "block",
  rule: name,
  code: "rate_limited",
  message: `what the rule ${name} grants is used up for now`,
});
const failed = (rule: string): Verdict => ({
  verdict: "block",
  rule,
  code: "policy_blocked",
  message: `the rule ${rule} cannot be answered for this call, and so blocks it`,
});
