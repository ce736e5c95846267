import { HoopishError } from "@hoopish/protocol";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTHeaderParameters } from "jose";
import type { IssuerConfig } from "../config/config.ts";
import { isPrivateTransport, parseHttpUrl } from "../config/endpoints.ts";
import { type FetchOptions, fetchJson } from "./fetch-json.ts";

type KeySet = ReturnType<typeof createLocalJWKSet>;
export type VerificationKey = Awaited<ReturnType<KeySet>>;

/** Keys are asked for again after this time, so that one that the issuer has withdrawn is soon of no use here. */
export const MAX_AGE_MS = 600_000;

/**
 * For so long keys stay good while the issuer does not answer. With the issuer itself down nobody gets a new token, and
 * those that are out end within the hour; the time matters when only this server cannot reach it (a proxy, a firewall).
 * One working day, the longest session: enough to mend that, and no longer than access already given would last.
 */
export const GRACE_MS: number = 8 * 3_600_000;

/** After a failure the issuer is left alone for so long; callers meanwhile get the answer at once. */
export const RETRY_MS = 2_000;
/** The same while there are older keys to go on with. */
export const RETRY_WITH_KEYS_MS = 30_000;

/** Between two questions that an unknown `kid` causes: anybody can write one into a token. */
export const UNKNOWN_KID_COOLDOWN_MS = 30_000;

const MAX_KEYS = 100;

interface Keys {
  readonly find: KeySet;
  readonly fetchedAtMs: number;
}

/** The public keys of one issuer: fetched when first needed, fetched anew when old, kept for a while when it is away. */
export class IssuerKeys {
  readonly #issuer: IssuerConfig;
  readonly #fetch: FetchOptions;
  readonly #now: () => number;
  #jwksUri: URL | undefined;
  #keys: Keys | undefined;
  #pending: Promise<void> | undefined;
  #failure: { readonly atMs: number; readonly error: unknown } | undefined;
  #askedForKidAtMs = Number.NEGATIVE_INFINITY;

  constructor(issuer: IssuerConfig, fetch: FetchOptions, now: () => number) {
    this.#issuer = issuer;
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Of the keys that may be used now: how old they are, in ms. @throws HoopishError identity_unavailable */
  async ensure(): Promise<number> {
    const keys = await this.#current();
    return this.#since(keys.fetchedAtMs);
  }

  /**
   * The key that the header names. jose's lookup takes only keys for signatures, of the algorithm's own kind.
   * @throws HoopishError identity_unavailable · JOSE errors when there is no such key, or more than one
   */
  async find(header: JWTHeaderParameters): Promise<VerificationKey> {
    const keys = await this.#current();
    try {
      return await keys.find(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.#askForKid())) throw error;
      return await (await this.#current()).find(header);
    }
  }

  /** Fetches once more for a key that is not known. @returns false when that was done a short while ago, or failed */
  async #askForKid(): Promise<boolean> {
    if (this.#since(this.#askedForKidAtMs) < UNKNOWN_KID_COOLDOWN_MS || this.#isLeftAlone()) return false;
    this.#askedForKidAtMs = this.#now();
    return this.#refresh().then(
      () => true,
      () => false,
    );
  }

  async #current(): Promise<Keys> {
    const keys = this.#keys;
    if (keys !== undefined && this.#since(keys.fetchedAtMs) < MAX_AGE_MS) return keys;
    if (!this.#isLeftAlone()) await this.#refresh().catch(() => undefined);
    if (this.#keys !== undefined && this.#since(this.#keys.fetchedAtMs) < MAX_AGE_MS + GRACE_MS) return this.#keys;
    throw new HoopishError("identity_unavailable", `the keys of ${this.#issuer.issuer} cannot be had`, {
      hint: "try again shortly; hoopish-server's log says what went wrong",
      cause: this.#failure?.error,
    });
  }

  #isLeftAlone(): boolean {
    if (this.#failure === undefined || this.#pending !== undefined) return false;
    const pauseMs = this.#keys === undefined ? RETRY_MS : RETRY_WITH_KEYS_MS;
    return this.#since(this.#failure.atMs) < pauseMs;
  }

  /** A clock that was set back far makes things old as one that was set forward does: nothing lasts longer by it. */
  #since(ms: number): number {
    return Math.abs(this.#now() - ms);
  }

  /** One request at a time: all who need the keys meanwhile wait for the same answer. */
  #refresh(): Promise<void> {
    this.#pending ??= this.#fetchKeys()
      .then(
        (find) => {
          this.#keys = { find, fetchedAtMs: this.#now() };
          this.#failure = undefined;
        },
        (error: unknown) => {
          this.#failure = { atMs: this.#now(), error };
          // The issuer may have moved its keys: the next attempt reads the discovery document again.
          this.#jwksUri = undefined;
          throw error;
        },
      )
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  async #fetchKeys(): Promise<KeySet> {
    this.#jwksUri ??= await this.#discover();
    const body = await fetchJson(this.#jwksUri, this.#fetch);
    const list = typeof body === "object" && body !== null && "keys" in body ? body.keys : undefined;
    if (!Array.isArray(list) || list.length === 0 || list.length > MAX_KEYS) {
      throw new Error(`${this.#jwksUri.href} answered with no set of 1 to ${MAX_KEYS} keys`);
    }
    return createLocalJWKSet({ keys: list } as JSONWebKeySet);
  }

  /** OpenID Connect Discovery 1.0 §4: the document's `issuer` must be the very one that was asked (§4.3). */
  async #discover(): Promise<URL> {
    const { issuer, jwksUri } = this.#issuer;
    if (jwksUri !== undefined) return this.#acceptUrl(jwksUri);
    const url = new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    const body = await fetchJson(url, this.#fetch);
    const document = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    if (document.issuer !== issuer) throw new Error(`${url.href} is the document of another issuer than ${issuer}`);
    if (typeof document.jwks_uri !== "string") throw new Error(`${url.href} names no jwks_uri`);
    return this.#acceptUrl(document.jwks_uri);
  }

  /** https, or http to this machine when the issuer itself is http on this machine. */
  #acceptUrl(text: string): URL {
    const url = parseHttpUrl(text);
    const plainIssuer = this.#issuer.issuer.startsWith("http:");
    if (url === undefined || !isPrivateTransport(url) || (url.protocol === "http:" && !plainIssuer)) {
      throw new Error(`the jwks_uri of ${this.#issuer.issuer} is not https`);
    }
    return url;
  }
}
