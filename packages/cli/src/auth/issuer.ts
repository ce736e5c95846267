import { HoopishError } from "@hoopish/protocol";
import * as oidc from "openid-client";
import type { Http } from "../http/http.ts";
import { networkError } from "../http/network-error.ts";
import { isLoopbackHost } from "./server-url.ts";
import type { StoredTokens } from "./tokens.ts";
import { endOfLifeMs } from "./tokens.ts";

export type Issuer = oidc.Configuration;

/** Metadata of the bank's identity provider (OpenID Connect Discovery), for a public client: it has no secret. */
export async function discoverIssuer(http: Http, issuer: string, clientId: string): Promise<Issuer> {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const insecure = url?.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url === undefined || (url.protocol !== "https:" && !insecure)) {
    throw new HoopishError("configuration", `the identity provider ${issuer} is not an https address`, {
      hint: "tell the server's operators: identity.issuers",
    });
  }
  try {
    return await oidc.discovery(url, clientId, undefined, oidc.None(), {
      [oidc.customFetch]: http.fetch as unknown as oidc.CustomFetch,
      timeout: 10,
      ...(insecure && { execute: [oidc.allowInsecureRequests] }),
    });
  } catch (error) {
    throw issuerError(error, issuer);
  }
}

/** What openid-client threw, in hoopish's words; never a token or a code. */
export function issuerError(error: unknown, issuer: string): HoopishError {
  if (error instanceof HoopishError) return error;
  if (error instanceof oidc.ResponseBodyError || error instanceof oidc.AuthorizationResponseError) {
    return new HoopishError("unauthenticated", refusalWords(error.error, error.error_description), {
      hint: "hoopish login",
      cause: error,
    });
  }
  const { code } = error as { code?: unknown };
  if (error instanceof oidc.ClientError && code !== "OAUTH_TIMEOUT") {
    return new HoopishError("identity_unavailable", `${issuer} does not answer as an OpenID provider should`, {
      hint: "hoopish doctor; if it stays so, tell the server's operators",
      cause: error,
    });
  }
  return networkError(error, `the identity provider ${issuer}`);
}

function refusalWords(code: string, description: string | undefined): string {
  const known: Readonly<Record<string, string>> = {
    access_denied: "the sign-in was denied",
    expired_token: "the code has expired",
    invalid_grant: "the sign-in has ended",
    unauthorized_client: "the identity provider does not allow this way of signing in",
  };
  const words = known[code] ?? `the identity provider refused (${code})`;
  return description === undefined ? words : `${words}: ${description.slice(0, 200)}`;
}

/**
 * The part of a token response that is kept.
 * @param askedAtMs when the request for it was sent, Unix milliseconds: an answer that took long is as old as that
 * @param of the tokens that were refreshed, or where a first sign-in belongs
 */
export function toStoredTokens(
  response: oidc.TokenEndpointResponse,
  askedAtMs: number,
  of: Pick<StoredTokens, "server" | "issuer" | "clientId"> & Partial<StoredTokens>,
): StoredTokens {
  // Without rotation a refresh gives no new refresh token, and the old one stays good (RFC 6749 §6).
  const refreshToken = response.refresh_token ?? of.refreshToken;
  const expiresAtMs = endOfLifeMs(response.access_token, response.expires_in, askedAtMs);
  return {
    v: 1,
    server: of.server,
    issuer: of.issuer,
    clientId: of.clientId,
    accessToken: response.access_token,
    issuedAtMs: askedAtMs,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  };
}
