import type { IssuerConfig } from "../config/config.ts";
import { type Claims, clientsNamedIn } from "./claims.ts";
import type { FetchOptions } from "./fetch-json.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import { refused } from "./token.ts";

/** One entry of the configuration with its issuer's keys; entries of one issuer share them. */
export interface Issuer {
  readonly config: IssuerConfig;
  readonly keys: IssuerKeys;
}

/**
 * The configured issuers. A bank's one provider often issues the tokens of people and of workloads alike: then there are
 * two entries of one issuer, which the configuration keeps apart by the clients that they name.
 */
export class Issuers {
  readonly #entries = new Map<string, Issuer[]>();

  constructor(configs: readonly IssuerConfig[], fetch: FetchOptions, now: () => number) {
    for (const config of configs) {
      const entries = this.#entries.get(config.issuer) ?? [];
      const keys = entries[0]?.keys ?? new IssuerKeys(config, fetch, now);
      this.#entries.set(config.issuer, [...entries, { config, keys }]);
    }
  }

  /** One entry of each issuer, whose keys are those of all. */
  distinct(): Issuer[] {
    return [...this.#entries.values()].flatMap((entries) => entries.slice(0, 1));
  }

  /**
   * The entry by which a token with these claims is to be judged. They are not verified yet: a false claim leads to an
   * entry that then refuses it, since all of them are checked again by what that entry says.
   * @throws HoopishError unauthenticated
   */
  choose(claims: Claims): Issuer {
    // Exactly as it is written: a slash or a letter's case may be all that parts two tenants of one provider.
    const entries = typeof claims.iss === "string" ? this.#entries.get(claims.iss) : undefined;
    const [only, ...others] = entries ?? [];
    if (only === undefined) throw refused("the token is of an issuer that is not configured here");
    if (others.length === 0) return only;
    const named = clientsNamedIn(claims);
    const chosen = [only, ...others].find(({ config }) => isForOneOf(named, clientsOf(config)));
    if (chosen === undefined) throw refused("the token was issued to another client");
    return chosen;
  }
}

/** The clients whose tokens an entry takes. For workloads none means any. */
export function clientsOf(config: IssuerConfig): readonly string[] {
  if (config.kind === "service") return config.clients;
  return config.clientId === undefined ? [] : [config.clientId];
}

/** Whether a token names clients, and none but these. */
export function isForOneOf(named: readonly unknown[], clients: readonly string[]): boolean {
  return named.length > 0 && named.every((client) => typeof client === "string" && clients.includes(client));
}
