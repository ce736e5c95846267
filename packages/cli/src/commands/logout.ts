import { HoopishError } from "@hoopish/protocol";
import { withFileLock } from "../auth/file-lock.ts";
import { lockPath } from "../auth/refresh.ts";
import { openVault } from "../auth/token-source.ts";
import { parseStoredTokens, type StoredTokens } from "../auth/tokens.ts";
import type { Context } from "../context.ts";

interface LogoutResult {
  readonly server: string;
  readonly signedOut: boolean;
  /** Whether the identity provider has taken the refresh token back (RFC 7009). */
  readonly revoked: boolean;
  readonly problem?: string;
}

/** Takes the tokens back at the identity provider when it can be reached, and forgets them here in any case. */
export async function logout(context: Context): Promise<void> {
  const server = await context.server();
  const vault = await openVault(context, server);
  const result = vault === undefined ? nothing(server) : await forget();
  const { storage, ...rest } = (await context.settings()).read();
  if (storage?.[server] !== undefined) {
    const others = Object.fromEntries(Object.entries(storage).filter(([origin]) => origin !== server));
    (await context.settings()).update(() => ({ ...rest, storage: others }));
  }
  context.output.show(result, (safe, style) => [
    safe.signedOut ? `${style.good("✓")} Signed out of ${safe.server}` : `You were not signed in to ${safe.server}`,
  ]);
  if (result.problem !== undefined && !context.output.json) {
    context.output.warn(
      `your tokens are gone from here, but the identity provider did not take them back: ${result.problem}`,
    );
  }

  function forget(): Promise<LogoutResult> {
    // Under the refresh lock: a command that is exchanging tokens now would store the new ones after us.
    const lock = { path: lockPath(context.configDir), host: context.world.host, pid: process.pid };
    return withFileLock(lock, async () => {
      const text = await vault?.read().catch(() => undefined);
      const tokens = text === undefined ? undefined : parseStoredTokens(text);
      const problem = tokens === undefined ? undefined : await revoke(context, tokens);
      const existed = (await vault?.remove()) ?? false;
      const revoked = tokens !== undefined && problem === undefined;
      return { server, signedOut: existed, revoked, ...(problem !== undefined && { problem }) };
    });
  }
}

const nothing = (server: string): LogoutResult => ({ server, signedOut: false, revoked: false });

/** @returns why it could not be done */
async function revoke(context: Context, tokens: StoredTokens): Promise<string | undefined> {
  const { discoverIssuer, issuerError } = await import("../auth/issuer.ts");
  const { tokenRevocation } = await import("openid-client");
  try {
    const issuer = await discoverIssuer(await context.http(), tokens.issuer, tokens.clientId);
    if (issuer.serverMetadata().revocation_endpoint === undefined) return "it has no revocation endpoint";
    const [token, hint] =
      tokens.refreshToken === undefined ? [tokens.accessToken, "access_token"] : [tokens.refreshToken, "refresh_token"];
    await tokenRevocation(issuer, token, { token_type_hint: hint });
    return undefined;
  } catch (error) {
    const known = error instanceof HoopishError ? error : issuerError(error, tokens.issuer);
    return known.message;
  }
}
