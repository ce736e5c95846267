import type { JWTHeaderParameters } from "jose";
import type { IssuerConfig } from "../config/config.ts";
import { type Claims, clientsNamedIn } from "./claims.ts";
import { clientsOf, isForOneOf } from "./issuers.ts";
import { refused } from "./token.ts";

/**
 * What a genuine token must say before anybody is let in by it, after jose has verified the signature, `iss`, `aud`,
 * `exp`, `nbf` and that the required claims are there. In this order, each with its reason.
 * @throws HoopishError unauthenticated
 */
export function checkClaims(header: JWTHeaderParameters, claims: Claims, issuer: IssuerConfig, clock: Clock): void {
  checkType(header);
  checkTimes(claims, clock);
  refuseOtherTokens(claims);
  checkClient(claims, issuer);
}

export interface Clock {
  readonly nowSeconds: number;
  readonly toleranceSeconds: number;
}

/**
 * RFC 9068 §4 wants `at+jwt`; many providers write `JWT`, and some (Okta) nothing. Every other type is a token for another
 * use that the same keys have signed: a logout token, a security event, a DPoP proof.
 */
function checkType({ typ }: JWTHeaderParameters): void {
  if (typ === undefined) return;
  const type = typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : "";
  if (type !== "at+jwt" && type !== "jwt") throw refused("the token is not an access token (typ)");
}

/** The last second of the year 9999: what is later is no RFC 3339 time. */
const LAST_TIME = 253_402_300_799;

function checkTimes({ exp, iat }: Claims, { nowSeconds, toleranceSeconds }: Clock): void {
  if (typeof exp !== "number" || exp > LAST_TIME) throw refused("the token's expiry is not a time");
  if (typeof iat !== "number") throw refused("the token does not say when it was issued");
  if (iat > nowSeconds + toleranceSeconds) {
    throw refused(
      `the token was issued ${Math.ceil(iat - nowSeconds)} s in the future`,
      "compare this machine's clock",
    );
  }
}

/**
 * An ID token says who signed in to a client, not that the client may call us. The audience keeps it out already (it
 * names the client, and the configuration refuses an audience that is the client); these marks do so where a provider
 * adds our audience to its ID tokens. `nonce` is no mark: Keycloak until 24 wrote it into access tokens too.
 */
function refuseOtherTokens(claims: Claims): void {
  const marked = ["at_hash", "c_hash", "s_hash"].some((claim) => Object.hasOwn(claims, claim));
  // Keycloak's payload `typ` (ID, Refresh, Offline, Logout) and Cognito's `token_use`.
  const type = typeof claims.typ === "string" && !/^(bearer|jwt|at\+jwt|dpop)$/i.test(claims.typ);
  if (marked || type || claims.token_use === "id")
    throw refused("this is an ID token or another token, not an access token");
  // OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 8417.
  if (Object.hasOwn(claims, "events")) throw refused("this is a logout or event token, not an access token");
  // RFC 7800: the holder must prove a key (DPoP, mTLS), which is not checked here; as a bearer token it is worth nothing.
  if (Object.hasOwn(claims, "cnf"))
    throw refused("the token is bound to a key, which is not built yet in this version");
}

/** A token that the same person gave to another application must not open this door (a confused deputy). */
function checkClient(claims: Claims, issuer: IssuerConfig): void {
  const named = clientsNamedIn(claims);
  const allowed = clientsOf(issuer);
  if (issuer.kind === "service" && allowed.length === 0) return;
  if (named.length === 0) throw refused("the token does not say which client it was issued to");
  if (!isForOneOf(named, allowed)) throw refused("the token was issued to another client");
  // RFC 9068 §5: in a token that a client got for itself, `sub` is the client.
  if (issuer.kind === "human" && claims.sub === issuer.clientId) {
    throw refused("the token is a client's own, not a person's");
  }
}
