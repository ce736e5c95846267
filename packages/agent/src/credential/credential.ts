import type { CredentialConfig, CredentialPlace } from "../config/config.ts";
import { commandSource } from "./command-source.ts";
import { fileSource } from "./file-source.ts";
import { CredentialError, fixedSource, type SecretSource } from "./secret-source.ts";

/**
 * A credential as it is put into one call. The value exists here, in the agent's memory, and on the wire to the model
 * server; nothing else in the agent may hold, log or send it.
 */
export interface AppliedCredential {
  /** The header that it adds, name (lower case) and value; a call's own header of that name is dropped. */
  readonly header: readonly [name: string, value: string] | undefined;
  /** The query parameter that it adds, `name=value` percent-encoded; a call's own parameter of that name is dropped. */
  readonly query: { readonly name: string; readonly pair: string } | undefined;
  /** PostgreSQL: who signs in, and with what. */
  readonly user?: string;
  readonly password?: string;
  /** Whether text that came back from the model server gives the credential away. */
  isEchoedIn(text: string): boolean;
}

export interface Credential {
  /** What to add to a call now. @throws CredentialError, or rejects with it */
  current(): AppliedCredential | Promise<AppliedCredential>;
  /** The model server answered 401: the next call looks whether the source has something newer. */
  doubt(): void;
}

/** A credential by its configuration. Files and commands are read when a call first needs them. */
export function createCredential(
  config: CredentialConfig,
  env: Readonly<Record<string, string | undefined>>,
): Credential {
  const source = createSource(config.source, env);
  let text: string | undefined;
  let applied: AppliedCredential | undefined;
  const apply = (now: string): AppliedCredential => {
    if (applied === undefined || now !== text) {
      applied = applyCredential(config.place, now);
      text = now;
    }
    return applied;
  };
  return {
    current() {
      const now = source.read();
      return typeof now === "string" ? apply(now) : now.then(apply);
    },
    doubt: () => source.doubt(),
  };
}

function createSource(
  config: CredentialConfig["source"],
  env: Readonly<Record<string, string | undefined>>,
): SecretSource {
  if (config.kind === "command") return commandSource({ ...config, env });
  const { parts } = config;
  return parts.every((part) => typeof part === "string") ? fixedSource(parts.join("")) : fileSource(parts);
}

/** @throws CredentialError when the text cannot stand in its place */
export function applyCredential(place: CredentialPlace, secret: string): AppliedCredential {
  if (secret === "") throw new CredentialError("the credential is empty");
  switch (place.kind) {
    case "header": {
      // RFC 9110 section 5.5: what may stand in a field value. A line end would start a header of its own.
      if (!/^[\t\x20-\x7e\x80-\xff]+$/.test(secret))
        throw new CredentialError("the credential cannot stand in a header");
      const token = /^[A-Za-z]+ +(\S.*)$/.exec(secret)?.[1];
      return {
        header: [place.name, secret],
        query: undefined,
        isEchoedIn: echoOf(token === undefined ? [secret] : [secret, token]),
      };
    }
    case "basic": {
      const encoded = Buffer.from(`${place.user}:${secret}`, "utf8").toString("base64");
      return {
        header: ["authorization", `Basic ${encoded}`],
        query: undefined,
        isEchoedIn: echoOf([secret, encoded]),
      };
    }
    case "postgres": {
      if (secret.includes("\0")) throw new CredentialError("a password of PostgreSQL holds no NUL");
      return { header: undefined, query: undefined, user: place.user, password: secret, isEchoedIn: echoOf([secret]) };
    }
    case "query": {
      const encoded = encodeURIComponent(secret);
      return {
        header: undefined,
        query: { name: place.name, pair: `${encodeURIComponent(place.name)}=${encoded}` },
        isEchoedIn: echoOf([secret, encoded, encoded.replaceAll("%20", "+")]),
      };
    }
  }
}

/** Shorter secrets are found only as a whole value: a password `a` would else blank every header that has an a. */
const SHORTEST_PART = 6;

function echoOf(secrets: readonly string[]): (text: string) => boolean {
  const parts = [...new Set(secrets)].filter((secret) => secret.length >= SHORTEST_PART);
  const whole = new Set(secrets);
  return (text) => whole.has(text) || parts.some((part) => text.length >= part.length && text.includes(part));
}
