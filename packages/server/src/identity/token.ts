import { HoopishError } from "@hoopish/protocol";

/** A token is in the head of each request, and heads of more than 16 KiB are refused by most that stand in between. */
const MAX_TOKEN_BYTES = 16_384;

/** RFC 7515 §7.1: three base64url parts; the last is empty in an unsigned one, which is refused later, by its alg. */
const COMPACT_JWS = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/;

/** The error of every token that is not good. The words are safe to show: they hold nothing that the token says. */
export function refused(message: string, hint?: string): HoopishError {
  return new HoopishError("unauthenticated", message, { hint: hint ?? "hoopish login  signs you in again" });
}

/**
 * What a token claims, unverified: good for choosing whose keys to check it with, and for nothing else.
 * @throws HoopishError unauthenticated
 */
export function unverifiedClaims(token: string): Readonly<Record<string, unknown>> {
  if (token.length > MAX_TOKEN_BYTES) throw refused("the token is larger than 16 KiB", OVERSIZED_HINT);
  const payload = COMPACT_JWS.exec(token)?.[2];
  if (payload === undefined) throw refused(shapeMessage(token), OPAQUE_HINT);
  const claims = parseObject(payload);
  if (typeof claims?.iss !== "string") throw refused("the token names no issuer", OPAQUE_HINT);
  return claims;
}

const OVERSIZED_HINT = "the identity provider puts too much into it; often too many groups";
const OPAQUE_HINT = "the identity provider must issue signed JWT access tokens for this audience (RFC 9068)";

function shapeMessage(token: string): string {
  if (token === "") return "there is no token";
  const parts = token.split(".").length;
  return parts === 5 ? "the token is encrypted (JWE), not signed" : "the token is not a signed JWT";
}

function parseObject(base64url: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64url, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
