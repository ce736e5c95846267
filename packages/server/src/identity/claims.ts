import { refused } from "./token.ts";

export type Claims = Readonly<Record<string, unknown>>;

/**
 * A claim by its configured name: first as a member of that very name (`https://bank.example/groups` is one, dots and
 * all), then as a path (`realm_access.roles`).
 */
export function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const step of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/**
 * The groups that a claim names. An array of texts, or one text, which is one group (AD FS writes a list of one so).
 * An absent claim is no groups, since providers leave empty lists out; but a claim that was left out because it was too
 * long ("overage") is refused: "no groups" would be false, and a rule that blocks by group would then not block.
 * @throws HoopishError unauthenticated
 */
export function groupsAt(claims: Claims, name: string): readonly string[] {
  if (isOverage(claims, name)) {
    throw refused("the token does not hold your groups: there are too many of them", OVERAGE_HINT);
  }
  const value = claimAt(claims, name);
  if (value === undefined || value === null) return [];
  const list = typeof value === "string" ? [value] : value;
  if (!Array.isArray(list) || !list.every((group) => isName(group))) {
    throw refused(
      `the token's groups (${name}) are not a list of names`,
      "the identity provider must send an array of texts",
    );
  }
  return [...new Set(list)];
}

const OVERAGE_HINT =
  "have the identity provider send only the groups assigned to this application (Entra: groupMembershipClaims ApplicationGroup), or roles";

/**
 * OpenID Connect Core §5.6.2: the claim is to be had elsewhere. Entra ID marks its `groups` so, or by `hasgroups`; where
 * they are sent under another name, that name is absent and the mark is the same.
 */
function isOverage(claims: Claims, name: string): boolean {
  const elsewhere = claims._claim_names;
  const moved = (claim: string): boolean =>
    typeof elsewhere === "object" && elsewhere !== null && Object.hasOwn(elsewhere, claim);
  if (moved(name)) return true;
  const marked = moved("groups") || claims.hasgroups === true || claims.hasgroups === "true";
  return marked && claimAt(claims, name) === undefined;
}

/** Under these names providers say which client a token was issued to: RFC 9068 and OpenID, Entra ID v1, Okta. */
const CLIENT_CLAIMS = ["azp", "client_id", "appid", "cid"];

/** All that a token says of the client that it was issued to, whatever its type. */
export function clientsNamedIn(claims: Claims): readonly unknown[] {
  return CLIENT_CLAIMS.filter((claim) => Object.hasOwn(claims, claim)).map((claim) => claims[claim]);
}

/** A text that can be shown, recorded (RFC 8785 has no lone surrogates) and hashed by lines (no line feed in it). */
export function isName(value: unknown, maxLength = 256): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= maxLength &&
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value)
  );
}
