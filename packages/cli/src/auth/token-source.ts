import { readFile } from "node:fs/promises";
import { HoopishError } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { nonEmpty } from "../context.ts";
import { createFileVault } from "./file-vault.ts";
import { createKeychainVault } from "./keychain.ts";
import { freshTokens, isFresh, notSignedIn } from "./refresh.ts";
import { jwtExpiryMs, type StoredTokens } from "./tokens.ts";
import type { Vault, VaultKind } from "./vault.ts";

/** Where a token comes from, as `whoami` names it. */
export type TokenOrigin = VaultKind | "HOOPISH_TOKEN" | "HOOPISH_TOKEN_FILE";

export interface BearerToken {
  readonly value: string;
  /** Unix milliseconds; absent when nothing says. */
  readonly expiresAtMs?: number;
  readonly issuedAtMs?: number;
}

export interface TokenSource {
  readonly origin: TokenOrigin;
  /**
   * A token that is good now, renewed silently when it is about to end.
   * @param refused a token that the server has refused: another one, or an error
   * @throws HoopishError unauthenticated
   */
  get(refused?: string): Promise<BearerToken>;
}

/** HOOPISH_TOKEN, else HOOPISH_TOKEN_FILE (workloads), else what `hoopish login` stored. @throws unauthenticated */
export async function createTokenSource(context: Context, server: string): Promise<TokenSource> {
  const { env } = context.world;
  const token = nonEmpty(env.HOOPISH_TOKEN);
  if (token !== undefined) return workload("HOOPISH_TOKEN", async () => token);
  const file = nonEmpty(env.HOOPISH_TOKEN_FILE);
  // Read at each use: whoever rotates the token writes a new file.
  if (file !== undefined) return workload("HOOPISH_TOKEN_FILE", () => readTokenFile(file));

  const vault = await openVault(context, server);
  if (vault === undefined) throw notSignedIn();
  const { configDir, world } = context;
  const ports = { vault, http: () => context.http(), now: world.now, configDir, host: world.host, uid: world.uid };
  // Read once a command: asking a keychain costs a process. `freshTokens` looks again when these are about to end.
  let last: StoredTokens | undefined;
  return {
    origin: vault.kind,
    get: async (refused) => {
      if (last === undefined || !isFresh(last, world.now(), refused)) last = await freshTokens(ports, refused);
      const { accessToken, expiresAtMs, issuedAtMs } = last;
      return { value: accessToken, issuedAtMs, ...(expiresAtMs !== undefined && { expiresAtMs }) };
    },
  };
}

/** Where the tokens of this server were stored at login; undefined when there was none. */
export async function openVault(context: Context, server: string): Promise<Vault | undefined> {
  const kind = (await context.settings()).read().storage?.[server];
  return kind === undefined ? undefined : createVault(context, server, kind);
}

export function createVault(context: Context, server: string, kind: VaultKind): Vault {
  if (kind === "keychain") return createKeychainVault(context.world, server);
  return createFileVault(context.configDir, server, context.world.uid);
}

function workload(origin: TokenOrigin, read: () => Promise<string>): TokenSource {
  return {
    origin,
    get: async (refused) => {
      const value = await read();
      if (value === refused) {
        throw new HoopishError("unauthenticated", `the server does not take the token in ${origin}`, {
          hint: "give the workload a new token",
        });
      }
      const expiresAtMs = jwtExpiryMs(value);
      return { value, ...(expiresAtMs !== undefined && { expiresAtMs }) };
    },
  };
}

async function readTokenFile(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new HoopishError("unauthenticated", `HOOPISH_TOKEN_FILE ${path} cannot be read`, {
      hint: "check that the file is mounted and readable",
      cause,
    });
  }
  if (text !== "" && !/\s/.test(text)) return text;
  throw new HoopishError("unauthenticated", `HOOPISH_TOKEN_FILE ${path} holds no token`, {
    hint: "write the token alone into it",
  });
}
