import { HoopishError } from "@hoopish/protocol";
import { type JWTVerifyResult, jwtVerify } from "jose";
import type { IssuerConfig } from "../config/config.ts";
import { type Clock, checkClaims } from "./claims-check.ts";
import { MAX_AGE_MS } from "./issuer-keys.ts";
import { type Issuer, Issuers } from "./issuers.ts";
import type { Identity } from "./principal.ts";
import { principalOf } from "./principal-of.ts";
import { refusalOf } from "./refusals.ts";
import { unverifiedClaims } from "./token.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

export interface IdentityOptions {
  /** Clocks of the identity provider and this machine may differ by so much. */
  readonly clockToleranceSeconds: number;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
  /** For one document of the identity provider, head and body. Default 5000. */
  readonly fetchTimeoutMs?: number;
  /** Unix milliseconds. Default: the machine's clock. */
  readonly now?: () => number;
}

/** Who calls, by the JWT access tokens (RFC 9068, RFC 8725) of the configured issuers. Fetches nothing until asked. */
export function createIdentity(issuers: readonly IssuerConfig[], options: IdentityOptions): Identity {
  const { fetch = globalThis.fetch, fetchTimeoutMs = 5_000, now = Date.now, clockToleranceSeconds } = options;
  const known = new Issuers(issuers, { fetch, timeoutMs: fetchTimeoutMs }, now);
  const verified = new VerifiedTokens(now);

  return {
    async verify(token) {
      const earlier = verified.get(token);
      if (earlier !== undefined) return earlier;
      // 1 An issuer that is named in the configuration, before anything goes over the network: a stranger's token must
      //   not make us ask a stranger's host.
      const issuer = known.choose(unverifiedClaims(token));
      const clock = { nowSeconds: Math.floor(now() / 1_000), toleranceSeconds: clockToleranceSeconds };
      // 2 Signature, by that issuer's keys and its allowed algorithms alone; then iss, aud, exp, nbf.
      const { protectedHeader, payload } = await verifySignature(token, issuer, clock);
      // 3 What jose does not know of: kind of token, client, times.
      checkClaims(protectedHeader, payload, issuer.config, clock);
      // 4 Who it is.
      const principal = principalOf(payload, issuer.config);
      verified.add(token, principal);
      return principal;
    },
    ready: () => keysAtHand(known.distinct()),
  };
}

async function verifySignature(token: string, { config, keys }: Issuer, clock: Clock): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, (header) => keys.find(header), {
      algorithms: [...config.algorithms],
      issuer: config.issuer,
      audience: config.audience,
      requiredClaims: ["exp", "iat", "sub", "aud"],
      clockTolerance: clock.toleranceSeconds,
      currentDate: new Date(clock.nowSeconds * 1_000),
    });
  } catch (error) {
    if (error instanceof HoopishError) throw error;
    throw refusalOf(error, clock);
  }
}

async function keysAtHand(issuers: readonly Issuer[]): Promise<{ ok: boolean; detail: string }> {
  const states = await Promise.all(
    issuers.map(async ({ config, keys }) => {
      const ageMs = await keys.ensure().catch(() => undefined);
      if (ageMs === undefined) return { ok: false, detail: `no keys of ${config.issuer}` };
      const old = ageMs < MAX_AGE_MS ? "" : ", and it does not answer";
      return { ok: true, detail: `keys of ${config.issuer} are ${Math.floor(ageMs / 60_000)} min old${old}` };
    }),
  );
  return { ok: states.every((state) => state.ok), detail: states.map((state) => state.detail).join("; ") };
}
