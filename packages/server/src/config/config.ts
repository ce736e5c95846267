import type { Api, Protocol, RetentionClass, Role, SignInFlow } from "@hoopish/protocol";
import type { MaskingRule } from "../masking/rule.ts";

/** The server's configuration after it was read, checked and completed with defaults. Units stand in the names. */
export interface Config {
  readonly listen: { readonly host: string; readonly port: number };
  /** Origin at which people and agents reach the server; agents sign it when they connect. */
  readonly publicUrl: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** TLS ends at a proxy in front. */
  readonly trustProxy: boolean;
  readonly store: { readonly kind: "sqlite"; readonly path: string };
  readonly evidence: {
    /** The log's name. */
    readonly origin: string;
    /** Ed25519, PKCS#8 PEM: signs the log. */
    readonly keyFile: string;
    /** 32 bytes, base64: seals the payloads. */
    readonly vaultKeyFile: string;
    /** Verifier keys with which the log was signed before. */
    readonly previousKeys: readonly string[];
    /** At least one. */
    readonly anchors: readonly AnchorConfig[];
  };
  readonly retention: {
    /** How long payloads are kept after the end of the month (UTC) in which their call was decided. */
    readonly payloadsMs: Readonly<Record<RetentionClass, number>>;
    /** What the bank promises for records. This version destroys none, however old. */
    readonly recordsMs: number;
  };
  readonly identity: {
    readonly issuers: readonly IssuerConfig[];
    /** Clocks of the identity provider and this machine may differ by so much. */
    readonly clockToleranceSeconds: number;
    readonly insecureStorage: boolean;
  };
  readonly roles: Readonly<Record<Role, readonly string[]>>;
  readonly connections: readonly ConnectionConfig[];
  readonly rules: readonly RuleConfig[];
  readonly masking: readonly MaskingRule[];
  readonly tests: readonly PolicyTestConfig[];
  readonly notify: readonly NotifyConfig[];
  /** IANA name: whose hours and weekdays `time` means in rules. */
  readonly timeZone: string;
  readonly drainMs: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** A place outside the store to which signed checkpoints go. Without a required one the server does not start. */
export type AnchorConfig =
  | { readonly kind: "file"; readonly folder: string; readonly required: boolean }
  | {
      readonly kind: "witness";
      /** Prefix of its addresses (C2SP tlog-witness). */
      readonly url: string;
      /** Its verifier key, type 0x04. */
      readonly vkey: string;
      readonly everyMs: number;
      readonly required: boolean;
    }
  | {
      readonly kind: "timestamp";
      readonly url: string;
      /** PEM: the authorities that are trusted for it, and no others. */
      readonly caFile: string;
      readonly everyMs: number;
      readonly required: boolean;
    };

/** An endpoint that hears of approvals. */
export interface NotifyConfig {
  readonly name: string;
  /** May be a secret itself, as an incoming webhook's is: never shown. */
  readonly url: string;
  readonly format: "webhook" | "slack" | "teams";
  /** Of a webhook, always there: `whsec_` and base64. */
  readonly secret?: string;
  readonly events: readonly string[];
  /** Of a chat whose buttons decide. */
  readonly interactive?: {
    readonly signingSecret: string;
    /** The chat's user id → the user as the identity provider names him. */
    readonly users: Readonly<Record<string, string>>;
  };
}

export interface IssuerConfig {
  readonly issuer: string;
  readonly kind: "human" | "service";
  readonly audience: string;
  /** For people: what the CLI signs in with. Also the `azp`/`client_id` that their tokens must name. */
  readonly clientId: string | undefined;
  /** Workload issuers: the client ids whose tokens are taken; empty = any client of the issuer. */
  readonly clients: readonly string[];
  readonly scopes: readonly string[];
  readonly flows: readonly SignInFlow[];
  readonly claims: { readonly user: string; readonly groups: string | undefined };
  /** Signature algorithms (RFC 7518) that are taken; never `none`, never symmetric ones. */
  readonly algorithms: readonly string[];
  /** Where the keys are, when the issuer's discovery document is not to be asked. */
  readonly jwksUri: string | undefined;
}

export interface ConnectionConfig {
  readonly name: string;
  /** Name of the agents that serve it. */
  readonly agent: string;
  readonly protocol: Protocol;
  readonly api: Api;
  readonly limits: {
    readonly requestBytes: number;
    readonly responseBytes: number;
    readonly callMs: number;
    readonly concurrentCalls: number;
    readonly responseRows: number;
  };
  readonly requireReason: boolean;
  readonly idleMs: number;
  readonly maxSessionMs: number;
  /** `overlap`: the model may be asked while the record of the request is being made durable. `first`: never. */
  readonly evidence: "overlap" | "first";
  /** What is done with a call whose meaning is not certain: refused, or judged by what is known of it and recorded so. */
  readonly uninspectable: "block" | "allow";
  /** gRPC: files with a google.protobuf.FileDescriptorSet, which say what the messages of other services are. */
  readonly descriptorFiles: readonly string[];
  /** gRPC: what is done with messages of services that nothing describes. */
  readonly opaque: "block" | "allow";
  /** PostgreSQL: functions that ask a model, beside those that are known: `predict_default`, `models.predict`, `models.*`. */
  readonly modelFunctions: readonly string[];
  /** PostgreSQL: functions that only read. Any other that is not PostgreSQL's own may write: its call is not certain. */
  readonly readFunctions: readonly string[];
}

export interface RuleConfig {
  readonly name: string;
  /** Connection names, or `*`. */
  readonly connections: readonly string[];
  /** Whom it is about: any of these. An allow rule names at least one; another that names nobody is about everybody. */
  readonly groups: readonly string[];
  readonly users: readonly string[];
  readonly services: readonly string[];
  /** CEL; absent: always. */
  readonly when?: string;
  readonly verdict: "allow" | "hold" | "block";
  /** What a blocked caller is told. */
  readonly message?: string;
  /** Of a hold, always there. */
  readonly approval?: ApprovalConfig;
  readonly rate?: RateConfig;
}

/** How a hold is settled. */
export interface ApprovalConfig {
  /** Whose members may decide. */
  readonly groups: readonly string[];
  /** Distinct humans that must say yes. */
  readonly quorum: number;
  /** How long the caller's connection is held open. */
  readonly waitMs: number;
  /** From the request: then it is over, decided or not. */
  readonly expiresMs: number;
  readonly scope: "call" | "session";
  /** Of a session's approval: how long it is good for, from the moment of approval. */
  readonly windowMs: number;
  /** Whose members may pass themselves, with a reason and a review that is owed. */
  readonly breakGlass: readonly string[];
}

/**
 * An allow grants up to this much, and `rate_limited` is said beyond it; a hold or block with a rate speaks only of what
 * goes beyond it. A sliding window of `perMs`.
 */
export interface RateConfig {
  readonly calls?: number;
  readonly rows?: number;
  readonly tokens?: number;
  readonly perMs: number;
  readonly by: "user" | "connection" | "rule";
}

/** A test written beside the rules. */
export interface PolicyTestConfig {
  readonly as: { readonly user: string; readonly groups: readonly string[]; readonly kind: "human" | "service" };
  readonly connection: string;
  readonly session: { readonly reason?: string; readonly ticket?: string };
  readonly call: {
    readonly kind: string;
    readonly model?: string;
    readonly rows?: number;
    readonly tokensRequested?: number;
    readonly stream?: boolean;
    readonly method?: string;
    readonly path?: string;
    readonly bytes?: number;
  };
  readonly json?: unknown;
  /** RFC 3339. */
  readonly time?: string;
  readonly expect: "allow" | "hold" | "block";
  readonly rule?: string;
}
