import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import { ensurePrivateDir } from "../config/private-dir.ts";
import type { Http } from "../http/http.ts";
import { withFileLock } from "./file-lock.ts";
import { parseStoredTokens, renewAtMs, type StoredTokens } from "./tokens.ts";
import type { Vault } from "./vault.ts";

export interface RefreshPorts {
  readonly vault: Vault;
  readonly http: () => Promise<Http>;
  readonly now: () => number;
  readonly configDir: string;
  readonly host: string;
  readonly uid: number | undefined;
}

/**
 * The stored tokens, exchanged for new ones when they are about to end. Refresh tokens rotate, and an identity provider
 * that sees an old one again revokes the whole family, so: one process at a time, storage read again once the lock is
 * held, the result stored before the lock is let go, and an exchange that has begun is not aborted by SIGINT.
 * @param refused the access token that is not to be returned (a server refused it)
 * @throws HoopishError unauthenticated; unreachable when the issuer is, and the token has ended
 */
export async function freshTokens(ports: RefreshPorts, refused?: string): Promise<StoredTokens> {
  const stored = await readTokens(ports.vault);
  if (isFresh(stored, ports.now(), refused)) return stored;
  ensurePrivateDir(ports.configDir, ports.uid);
  const lock = { path: lockPath(ports.configDir), host: ports.host, pid: process.pid };
  return withFileLock(lock, async () => {
    const current = await readTokens(ports.vault);
    if (isFresh(current, ports.now(), refused)) return current;
    return exchange(ports, current, refused);
  });
}

/** One lock for all servers: an exchange takes well under a second, and one issuer may serve several of them. */
export const lockPath = (configDir: string): string => join(configDir, "sign-in.lock");

export async function readTokens(vault: Vault): Promise<StoredTokens> {
  const text = await vault.read();
  const tokens = text === undefined ? undefined : parseStoredTokens(text);
  if (tokens === undefined) throw notSignedIn();
  return tokens;
}

export function notSignedIn(): HoopishError {
  return new HoopishError("unauthenticated", "you are not signed in", { hint: "hoopish login" });
}

export function isFresh(tokens: StoredTokens, nowMs: number, refused: string | undefined): boolean {
  if (tokens.accessToken === refused) return false;
  const { expiresAtMs, issuedAtMs } = tokens;
  return expiresAtMs === undefined || nowMs < renewAtMs({ issuedAtMs, expiresAtMs });
}

async function exchange(ports: RefreshPorts, tokens: StoredTokens, refused: string | undefined): Promise<StoredTokens> {
  const usable =
    tokens.accessToken !== refused && (tokens.expiresAtMs === undefined || tokens.expiresAtMs > ports.now());
  if (tokens.refreshToken === undefined) {
    if (usable) return tokens;
    throw ended("your sign-in has ended, and the identity provider gave no way to renew it");
  }
  const { discoverIssuer, issuerError, toStoredTokens } = await import("./issuer.ts");
  const { refreshTokenGrant } = await import("openid-client");
  try {
    const issuer = await discoverIssuer(await ports.http(), tokens.issuer, tokens.clientId);
    const response = await refreshTokenGrant(issuer, tokens.refreshToken);
    const next = toStoredTokens(response, ports.now(), tokens);
    await ports.vault.write(JSON.stringify(next));
    return next;
  } catch (error) {
    const known = issuerError(error, tokens.issuer);
    // What is left of the token's life is still ours, whatever the issuer says.
    if (usable) return tokens;
    throw known.code === "unauthenticated" ? ended("your sign-in has ended") : known;
  }
}

function ended(message: string): HoopishError {
  return new HoopishError("unauthenticated", message, { hint: "hoopish login" });
}
