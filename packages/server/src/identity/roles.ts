import type { Role } from "@hoopish/protocol";
import type { Principal } from "./principal.ts";

export type RoleGroups = Readonly<Record<Role, readonly string[]>>;

/** The roles that a person's groups give. Workloads have none: they cannot administer or audit. */
export function rolesOf(principal: Principal, roles: RoleGroups): readonly Role[] {
  if (principal.kind !== "human") return [];
  const has = (role: Role): boolean => roles[role].some((group) => principal.groups.includes(group));
  return (["admin", "auditor"] as const).filter(has);
}
