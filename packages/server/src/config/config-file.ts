import type { Api, Protocol, SignInFlow } from "@hoopish/protocol";
import type { AnalyzerConfig } from "../masking/analyzer.ts";
import type { MaskingRule } from "../masking/rule.ts";
import type { NotifyConfig, PolicyTestConfig } from "./config.ts";

/** The configuration file's contents after schema.ts: defaults filled in, durations in ms, sizes in bytes. */
export interface ConfigFile {
  readonly listen: string;
  readonly publicUrl: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly trustProxy: boolean;
  readonly store: string;
  readonly evidence: {
    readonly origin: string;
    readonly keyFile: string;
    readonly vaultKeyFile: string;
    readonly previousKeys: readonly string[];
    readonly anchors?: readonly AnchorFile[];
  };
  readonly retention: { readonly default: number; readonly heldOrBlocked: number; readonly records: number };
  readonly identity: {
    readonly issuers: readonly IssuerFile[];
    readonly clockTolerance: number;
    readonly insecureStorage: boolean;
  };
  readonly roles: { readonly admin: readonly string[]; readonly auditor: readonly string[] };
  readonly connections: readonly ConnectionFile[];
  readonly rules: readonly RuleFile[];
  readonly masking: readonly MaskingFile[];
  readonly tests: readonly PolicyTestConfig[];
  readonly notify: readonly NotifyConfig[];
  readonly timeZone: string;
  readonly drain: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** What it looks for, any of three: masking-checks.ts. */
export interface MaskingFile extends Omit<MaskingRule, "fields" | "action" | "analyzer"> {
  readonly fields: readonly string[];
  readonly analyzer?: Omit<AnalyzerConfig, "deadlineMs"> & { readonly deadline: number };
  readonly action: "redact" | "pseudonym" | "block" | { readonly mask: { readonly keepLast: number } };
}

/** Exactly one of `file`, `witness` and `timestamp`: anchor-checks.ts. */
export interface AnchorFile {
  readonly file?: string;
  readonly witness?: { readonly url: string; readonly vkey: string; readonly every: number };
  readonly timestamp?: { readonly url: string; readonly caFile: string; readonly every: number };
  readonly required: boolean;
}

export interface IssuerFile {
  readonly issuer: string;
  readonly kind: "human" | "service";
  readonly audience: string;
  readonly clientId?: string;
  readonly clients: readonly string[];
  readonly scopes?: readonly string[];
  readonly flows?: readonly SignInFlow[];
  readonly claims: { readonly user?: string; readonly groups?: string };
  readonly algorithms: readonly string[];
  readonly jwksUri?: string;
}

export interface ConnectionFile {
  readonly name: string;
  readonly agent: string;
  readonly protocol: Protocol;
  readonly api: Api;
  readonly limits: {
    readonly requestBytes: number;
    readonly responseBytes: number;
    readonly callSeconds: number;
    readonly concurrentCalls: number;
    readonly responseRows: number;
  };
  readonly requireReason: boolean;
  readonly idle: number;
  readonly maxSession: number;
  readonly evidence: "overlap" | "first";
  readonly uninspectable: "block" | "allow";
  readonly descriptors: readonly string[];
  readonly opaque: "block" | "allow";
  readonly modelFunctions: readonly string[];
  readonly readFunctions: readonly string[];
}

export interface RuleFile {
  readonly name: string;
  readonly connections: readonly string[];
  readonly groups: readonly string[];
  readonly users: readonly string[];
  readonly services: readonly string[];
  readonly when?: string;
  readonly then: "allow" | "hold" | "block";
  readonly message?: string;
  readonly approval?: {
    readonly groups: readonly string[];
    readonly quorum: number;
    readonly wait: number;
    readonly expires: number;
    readonly scope: "call" | "session";
    readonly window: number;
    readonly breakGlass: readonly string[];
  };
  readonly rate?: {
    readonly calls?: number;
    readonly rows?: number;
    readonly tokens?: number;
    readonly per: number;
    readonly by: "user" | "connection" | "rule";
  };
}
