import type { IssuerConfig } from "../config/config.ts";
import { type Claims, claimAt, groupsAt, isName } from "./claims.ts";
import type { Principal } from "./principal.ts";
import { refused } from "./token.ts";

/** Verified claims → who calls. The object is frozen: callers share it. @throws HoopishError unauthenticated */
export function principalOf(claims: Claims, issuer: IssuerConfig): Principal {
  const { sub, exp } = claims;
  if (!isName(sub)) throw refused("the token names no usable subject (sub)");
  const user = userOf(claims, issuer);
  const groups = issuer.claims.groups === undefined ? [] : groupsAt(claims, issuer.claims.groups);
  return Object.freeze({
    sub,
    issuer: issuer.issuer,
    kind: issuer.kind,
    user,
    name: isName(claims.name) ? claims.name : user,
    groups: Object.freeze(groups),
    amr:
      Array.isArray(claims.amr) && claims.amr.every((method) => isName(method))
        ? Object.freeze([...claims.amr])
        : undefined,
    expiresAtMs: Math.floor(Number(exp) * 1_000),
  });
}

function userOf(claims: Claims, issuer: IssuerConfig): string {
  const name = issuer.claims.user;
  const user = claimAt(claims, name);
  if (!isName(user)) {
    throw refused(
      `the token has no usable ${name}`,
      `the identity provider must put the claim ${name} into access tokens`,
    );
  }
  // Who may write any address into his account could otherwise be anybody. Absent is accepted: few access tokens have it.
  const verified = claims.email_verified;
  if (name === "email" && verified !== undefined && verified !== true && verified !== "true") {
    throw refused("the identity provider has not verified your e-mail address");
  }
  return user;
}
