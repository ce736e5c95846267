import type { HoopishError } from "@hoopish/protocol";
import { errors } from "jose";
import type { Clock } from "./claims-check.ts";
import { refused } from "./token.ts";

/**
 * Why jose did not take a token, in our words. Its errors are not kept as `cause`: those about claims carry the whole
 * payload, and a log that prints causes would hold it.
 */
export function refusalOf(error: unknown, clock: Clock): HoopishError {
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) {
    return claimRefusal(error, clock);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused("the token's signature is not good");
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return refused("the token is signed with an algorithm that is not allowed for its issuer");
  }
  if (error instanceof errors.JWKSNoMatchingKey)
    return refused("the token is signed with a key that its issuer does not publish");
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return refused("the token does not say which key it is signed with (kid)");
  // Malformed, an unknown `crit`, a published key that is too weak: all of it is a token that could not be verified.
  return refused("the token cannot be verified");
}

function claimRefusal(error: errors.JWTExpired | errors.JWTClaimValidationFailed, clock: Clock): HoopishError {
  const { claim, reason, payload } = error;
  if (reason === "missing") return refused(`the token has no ${REQUIRED.has(claim) ? claim : "required claim"}`);
  if (reason === "invalid") return refused("a time in the token is not a number");
  if (claim === "exp") return refused(`the token expired ${Math.max(0, clock.nowSeconds - Number(payload.exp))} s ago`);
  if (claim === "nbf")
    return refused(`the token is good only in ${Math.ceil(Number(payload.nbf) - clock.nowSeconds)} s`);
  if (claim === "aud")
    return refused("the token is for another audience", "the CLI must ask for the audience of this server");
  return refused("the token's claims are not as they must be");
}

const REQUIRED: ReadonlySet<string> = new Set(["exp", "iat", "sub", "aud", "iss"]);
