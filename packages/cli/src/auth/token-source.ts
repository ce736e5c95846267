import { readFile } from "node:fs/promises";
import { HoopishError } from "@hoopish/protocol";
import type { Settings } from "../config/settings.ts";
import type { Http } from "../http/http.ts";
import { variable } from "../variable.ts";
import type { World } from "../world.ts";
import { createFileVault } from "./file-vault.ts";
import { createKeychainVault } from "./keychain.ts";
import { freshTokens, isFresh, notSignedIn, type RefreshPorts } from "./refresh.ts";
import { jwtTimes, type StoredTokens, type TokenTimes } from "./tokens.ts";
import type { Vault, VaultKind } from "./vault.ts";

/** Where a token comes from, as `whoami` names it. */
export type TokenOrigin = VaultKind | "HOOPISH_TOKEN" | "HOOPISH_TOKEN_FILE";

export interface BearerToken extends TokenTimes {
  readonly value: string;
  /** It is about to end and could not be renewed: why. */
  readonly problem?: HoopishError;
}

export interface TokenSource {
  readonly origin: TokenOrigin;
  /** A token that is good now, renewed silently when it is about to end. @throws HoopishError unauthenticated */
  get(): Promise<BearerToken>;
}

/** Where sign-ins are kept, and what it takes to renew them: a command's context is one. */
export interface SignInPlace {
  readonly world: World;
  readonly configDir: string;
  settings(): Promise<Settings>;
  http(): Promise<Http>;
}

/** HOOPISH_TOKEN, else HOOPISH_TOKEN_FILE (workloads), else what `hoopish login` stored. @throws unauthenticated */
export async function createTokenSource(place: SignInPlace, server: string): Promise<TokenSource> {
  const { env } = place.world;
  const token = variable(env, "HOOPISH_TOKEN");
  if (token !== undefined) return workload("HOOPISH_TOKEN", async () => token);
  const file = variable(env, "HOOPISH_TOKEN_FILE");
  // Read at each use: whoever rotates the token writes a new file.
  if (file !== undefined) return workload("HOOPISH_TOKEN_FILE", () => readTokenFile(file));

  const vault = await openVault(place, server);
  if (vault === undefined) throw notSignedIn();
  const { configDir, world } = place;
  const ports = { vault, http: () => place.http(), now: world.now, configDir, host: world.host, uid: world.uid };
  return new VaultTokenSource(vault.kind, ports);
}

class VaultTokenSource implements TokenSource {
  readonly origin: TokenOrigin;
  readonly #ports: RefreshPorts;
  /** Kept for the command: asking a keychain costs a process. */
  #last: StoredTokens | undefined;
  /** The refresh token that the issuer has refused. */
  #dead: string | undefined;

  constructor(origin: TokenOrigin, ports: RefreshPorts) {
    this.origin = origin;
    this.#ports = ports;
  }

  async get(): Promise<BearerToken> {
    let tokens = this.#last;
    let problem: HoopishError | undefined;
    if (tokens === undefined || !isFresh(tokens, this.#ports.now())) {
      ({ tokens, problem } = await freshTokens(this.#ports, this.#dead));
      this.#last = tokens;
      if (problem?.code === "unauthenticated") this.#dead = tokens.refreshToken;
    }
    const { accessToken: value, issuedAtMs, expiresAtMs } = tokens;
    return {
      value,
      issuedAtMs,
      ...(expiresAtMs !== undefined && { expiresAtMs }),
      ...(problem !== undefined && { problem }),
    };
  }
}

/** Where the tokens of this server were stored at login; undefined when there was none. */
export async function openVault(place: SignInPlace, server: string): Promise<Vault | undefined> {
  const kind = (await place.settings()).read().storage?.[server];
  return kind === undefined ? undefined : createVault(place, server, kind);
}

export function createVault(place: SignInPlace, server: string, kind: VaultKind): Vault {
  if (kind === "keychain") return createKeychainVault(place.world, server);
  return createFileVault(place.configDir, server, place.world.uid);
}

function workload(origin: TokenOrigin, read: () => Promise<string>): TokenSource {
  return {
    origin,
    get: async () => {
      const value = await read();
      return { value, ...jwtTimes(value) };
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
