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

export interface Fresh {
  readonly tokens: StoredTokens;
  /** Why tokens that should have been exchanged could not be: they are the old ones, good for a little while yet. */
  readonly problem?: HoopishError;
}

/**
 * The stored tokens, exchanged for new ones when they are about to end. Refresh tokens rotate, and an identity provider
 * that sees an old one again revokes the whole family, so: one process at a time, storage read again once the lock is
 * held, the result stored before the lock is let go, and an exchange that has begun is not aborted by SIGINT.
 * @param dead a refresh token that the issuer has refused: it is not sent again
 * @throws HoopishError unauthenticated; unreachable when the issuer is, and the token has ended
 */
export async function freshTokens(ports: RefreshPorts, dead?: string): Promise<Fresh> {
  const stored = await readTokens(ports.vault);
  if (isFresh(stored, ports.now())) return { tokens: stored };
  ensurePrivateDir(ports.configDir, ports.uid);
  const lock = { path: lockPath(ports.configDir), host: ports.host, pid: process.pid };
  return withFileLock(lock, async () => {
    const current = await readTokens(ports.vault);
    if (isFresh(current, ports.now())) return { tokens: current };
    return exchange(ports, current, dead);
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

export function isFresh(tokens: StoredTokens, nowMs: number): boolean {
  return nowMs < renewAtMs(tokens);
}

async function exchange(ports: RefreshPorts, tokens: StoredTokens, dead: string | undefined): Promise<Fresh> {
  const problem = await tryExchange(ports, tokens, dead);
  if (!(problem instanceof HoopishError)) return { tokens: problem };
  // What is left of the token's life is still ours, whatever the issuer says.
  if (tokens.expiresAtMs === undefined || tokens.expiresAtMs > ports.now()) return { tokens, problem };
  throw problem;
}

async function tryExchange(
  ports: RefreshPorts,
  tokens: StoredTokens,
  dead: string | undefined,
): Promise<StoredTokens | HoopishError> {
  if (tokens.refreshToken === undefined) return ended("the identity provider gave no way to renew it");
  if (tokens.refreshToken === dead) return ended("the identity provider does not renew it");
  const { discoverIssuer, issuerError, toStoredTokens } = await import("./issuer.ts");
  const { refreshTokenGrant } = await import("openid-client");
  let next: StoredTokens;
  try {
    const issuer = await discoverIssuer(await ports.http(), tokens.issuer, tokens.clientId);
    const askedAtMs = ports.now();
    next = toStoredTokens(await refreshTokenGrant(issuer, tokens.refreshToken), askedAtMs, tokens);
  } catch (error) {
    const known = issuerError(error, tokens.issuer);
    return known.code === "unauthenticated" ? ended("the identity provider does not renew it") : known;
  }
  await ports.vault.write(JSON.stringify(next));
  return next;
}

function ended(why: string): HoopishError {
  return new HoopishError("unauthenticated", `your sign-in has ended: ${why}`, { hint: "hoopish login" });
}
