import { createHash } from "node:crypto";
import { canonicalize, type ErrorCode, type Json } from "@hoopish/protocol";
import type { RuleConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import { type RoleGroups, rolesOf } from "../identity/roles.ts";

/**
 * Who may do what. Pure: the same rules and the same question give the same verdict, with no clock, store or network.
 * Default deny: without a rule that allows, the answer is no.
 */

export type Verdict =
  | { readonly verdict: "allow"; readonly rule: string }
  | { readonly verdict: "block"; readonly rule: undefined; readonly code: ErrorCode; readonly message: string };

export interface Policy {
  /** SHA-256 (hex) of the rules' canonical form; stands in every record of a decision. */
  readonly hash: string;
  readonly ruleCount: number;
  /** The rules that let this principal use the connection, in the file's order. */
  grants(principal: Principal, connection: string): readonly RuleConfig[];
  judge(principal: Principal, connection: string): Verdict;
}

export function compilePolicy(rules: readonly RuleConfig[], roles: RoleGroups): Policy {
  const hash = createHash("sha256")
    .update(canonicalize({ rules, roles } as unknown as Json))
    .digest("hex");
  const grants = (principal: Principal, connection: string): RuleConfig[] =>
    rules.filter((rule) => isAbout(rule, connection) && names(rule, principal));
  return {
    hash,
    ruleCount: rules.length,
    grants,
    judge(principal, connection) {
      // Who examines the log has no part in what it tells of.
      if (rolesOf(principal, roles).includes("auditor")) return denied("auditors read the log and never connect");
      const rule = rules.find((candidate) => isAbout(candidate, connection) && names(candidate, principal));
      if (rule !== undefined) return { verdict: "allow", rule: rule.name };
      return denied(`no rule lets ${principal.user} use ${connection}`);
    },
  };
}

const denied = (message: string): Verdict => ({ verdict: "block", rule: undefined, code: "access_denied", message });

function isAbout(rule: RuleConfig, connection: string): boolean {
  return rule.connections.includes("*") || rule.connections.includes(connection);
}

/** Humans match by group or user, workloads by `services` alone: a workload cannot slip in through a user's name. */
function names(rule: RuleConfig, principal: Principal): boolean {
  if (principal.kind === "service") return rule.services.includes(principal.user);
  return rule.users.includes(principal.user) || principal.groups.some((group) => rule.groups.includes(group));
}
