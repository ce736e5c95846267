import type { Protocol } from "@hoopish/protocol";

/** Who the agent is and where its server is. */
export interface AgentIdentity {
  /** The server's WebSocket origin: `wss://gateway.bank.example`. */
  readonly server: string;
  /** PEM of the certificate authorities to trust for the server, instead of those that Node trusts. */
  readonly serverCa: string | undefined;
  /** The name under which the agent was enrolled. */
  readonly name: string;
  /** Absolute path of the Ed25519 private key (PKCS #8, PEM). */
  readonly keyFile: string;
}

/** The agent's configuration after it was read, checked and completed with defaults. Units stand in the names. */
export interface AgentConfig extends AgentIdentity {
  readonly connections: readonly ConnectionConfig[];
  /** After a signal: how long calls in flight may go on. */
  readonly drainMs: number;
  readonly logLevel: LogLevel;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** One model endpoint: where it is and what opens it. */
export interface ConnectionConfig {
  readonly name: string;
  readonly protocol: Protocol;
  readonly target: Target;
  readonly tls: TargetTls | undefined;
  readonly credential: CredentialConfig | undefined;
  readonly pool: {
    /** Sockets to the target at one time; further calls wait. */
    readonly connections: number;
    /** An idle socket is closed after this. Keep it below the model server's own limit. */
    readonly keepAliveMs: number;
  };
  /** Calls at one time, waiting ones included; more are refused with `rate_limited`. */
  readonly maxCalls: number;
  readonly connectTimeoutMs: number;
  /** Until the answer's head has arrived; 0: only the call's own limit counts. */
  readonly headersTimeoutMs: number;
}

export interface Target {
  readonly protocol: Protocol;
  /** TLS from the first byte, or (PostgreSQL) asked for before it. */
  readonly secure: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** PostgreSQL: the one database that calls reach; empty: the one that they ask for. */
  readonly database: string;
  /** Scheme (http or https), host and port; the only origin that calls of the connection ever reach. */
  readonly origin: string;
  /** Put before each call's path; empty, or begins with `/` and does not end with one. */
  readonly basePath: string;
}

/** Absolute paths, read again when a file has changed and a new connection is made. */
export interface TargetTls {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** Where the credential goes, and where its value comes from. */
export interface CredentialConfig {
  readonly place: CredentialPlace;
  readonly source: CredentialSourceConfig;
}

export type CredentialPlace =
  | { readonly kind: "header" /** In lower case. */; readonly name: string }
  | { readonly kind: "basic"; readonly user: string }
  | { readonly kind: "query"; readonly name: string }
  /** The password of this user of a PostgreSQL server. */
  | { readonly kind: "postgres"; readonly user: string };

export type CredentialSourceConfig =
  | { readonly kind: "template"; readonly parts: readonly TemplatePart[] }
  | {
      readonly kind: "command";
      /** Program and arguments; no shell reads them. */
      readonly argv: readonly string[];
      readonly prefix: string;
      readonly refreshMs: number;
      readonly timeoutMs: number;
    };

/** A piece of a credential: text that is known, or an absolute path of a file that is read again when it changes. */
export type TemplatePart = string | { readonly file: string };

/** One thing that is wrong in a configuration file. Lines and columns count from 1. */
export interface Mistake {
  readonly line: number;
  readonly column: number;
  /** `connections[0].target`; empty where the document as a whole is meant. */
  readonly path: string;
  readonly message: string;
}
