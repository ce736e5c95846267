import { z } from "zod";

/** What a login leaves: kept as one secret, in the keychain or in a file that only its owner can read. */
export interface StoredTokens {
  readonly v: 1;
  /** Origin of the server that the tokens are for. */
  readonly server: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** Unix milliseconds. */
  readonly issuedAtMs: number;
  /** Unix milliseconds; absent when the issuer did not say and the token does not either. */
  readonly expiresAtMs?: number;
}
const storedTokensSchema: z.ZodType<StoredTokens> = z.object({
  v: z.literal(1),
  server: z.string(),
  issuer: z.string(),
  clientId: z.string(),
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1).exactOptional(),
  issuedAtMs: z.number(),
  expiresAtMs: z.number().exactOptional(),
});

/** Undefined for what this version cannot read: the person signs in again. */
export function parseStoredTokens(text: string): StoredTokens | undefined {
  try {
    return storedTokensSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Unix milliseconds. */
export interface TokenTimes {
  readonly issuedAtMs?: number;
  readonly expiresAtMs?: number;
}

/** `iat` and `exp` of a JWT (RFC 7519 §4.1). Nothing is verified: they only say when to ask for a new one. */
export function jwtTimes(token: string): TokenTimes {
  const payload = token.split(".")[1];
  if (payload === undefined) return {};
  try {
    const { iat, exp } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Record<string, unknown>;
    return {
      ...(typeof iat === "number" && { issuedAtMs: iat * 1000 }),
      ...(typeof exp === "number" && { expiresAtMs: exp * 1000 }),
    };
  } catch {
    return {};
  }
}

/**
 * When a token that an issuer has just given ends, Unix milliseconds of this machine's clock; undefined: nobody says.
 * `expires_in` counts from when the issuer made the token (RFC 6749 §5.1), which was after it was asked, and a JWT's `exp`
 * is the whole second below: the token may end a second before the sum. A server ends sessions at `exp`, not at the sum.
 * @param askedAtMs when the request for the token was sent, at the latest
 */
export function endOfLifeMs(accessToken: string, expiresIn: number | undefined, askedAtMs: number): number | undefined {
  if (expiresIn === undefined) return jwtTimes(accessToken).expiresAtMs;
  return askedAtMs + Math.max(0, expiresIn - 1) * 1000;
}

const RENEW_BEFORE_MS = 60_000;

/**
 * When a token should be exchanged: a minute before it ends, or, for one that lives shorter than three minutes, when a
 * third of its life is left (otherwise a token of one minute would be exchanged at every command). Infinity: never.
 */
export function renewAtMs({ issuedAtMs, expiresAtMs = Number.POSITIVE_INFINITY }: TokenTimes): number {
  const lifetimeMs = issuedAtMs === undefined ? Number.POSITIVE_INFINITY : expiresAtMs - issuedAtMs;
  return expiresAtMs - Math.min(RENEW_BEFORE_MS, Math.max(0, lifetimeMs / 3));
}
