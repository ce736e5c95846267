import { dirname, join, resolve } from "node:path";
import type { AnalyzerConfig } from "../masking/analyzer.ts";
import { parseFieldPath } from "../masking/field-path.ts";
import type { MaskingRule } from "../masking/rule.ts";
import type {
  AnchorConfig,
  ApprovalConfig,
  Config,
  ConnectionConfig,
  IssuerConfig,
  RateConfig,
  RuleConfig,
} from "./config.ts";
import type { AnchorFile, ConfigFile, ConnectionFile, IssuerFile, MaskingFile, RuleFile } from "./config-file.ts";
import { parseHttpUrl, parseListen } from "./endpoints.ts";

/** A file that passed every check → the configuration that the server runs with; relative paths start at `folder`. */
export function buildConfig(file: ConfigFile, folder: string): Config {
  const { tls } = file;
  const storePath = resolve(folder, file.store.slice("sqlite:".length));
  return {
    listen: certain(parseListen(file.listen)),
    publicUrl: certain(parseHttpUrl(file.publicUrl)).origin,
    tls: tls && { certFile: resolve(folder, tls.certFile), keyFile: resolve(folder, tls.keyFile) },
    trustProxy: file.trustProxy,
    store: { kind: "sqlite", path: storePath },
    evidence: {
      origin: file.evidence.origin,
      keyFile: resolve(folder, file.evidence.keyFile),
      vaultKeyFile: resolve(folder, file.evidence.vaultKeyFile),
      previousKeys: file.evidence.previousKeys,
      anchors: file.evidence.anchors?.map((anchor) => buildAnchor(anchor, folder)) ?? [defaultAnchor(storePath)],
    },
    retention: {
      payloadsMs: { default: file.retention.default, heldOrBlocked: file.retention.heldOrBlocked },
      recordsMs: file.retention.records,
    },
    identity: {
      issuers: file.identity.issuers.map(buildIssuer),
      clockToleranceSeconds: file.identity.clockTolerance / 1_000,
      insecureStorage: file.identity.insecureStorage,
    },
    roles: file.roles,
    connections: file.connections.map((connection) => buildConnection(connection, folder)),
    rules: file.rules.map(buildRule),
    masking: file.masking.map(buildMasking),
    tests: file.tests,
    notify: file.notify,
    timeZone: file.timeZone,
    drainMs: file.drain,
    logLevel: file.logLevel,
  };
}

/** Beside the store: it shows a store that was put back from a backup, where nobody put it back as well. */
function defaultAnchor(storePath: string): AnchorConfig {
  return { kind: "file", folder: join(dirname(storePath), "anchors"), required: false };
}

function buildAnchor({ file, witness, timestamp, required }: AnchorFile, folder: string): AnchorConfig {
  if (witness !== undefined) {
    return { kind: "witness", url: witness.url, vkey: witness.vkey, everyMs: witness.every, required };
  }
  if (timestamp !== undefined) {
    const { url, caFile, every } = timestamp;
    return { kind: "timestamp", url, caFile: resolve(folder, caFile), everyMs: every, required };
  }
  return { kind: "file", folder: resolve(folder, certain(file)), required };
}

/** `offline_access` asks for the refresh token without which a sign-in ends with the first access token. */
const DEFAULT_SCOPES = ["openid", "profile", "email", "offline_access"];

function buildIssuer(it: IssuerFile): IssuerConfig {
  const human = it.kind === "human";
  return {
    issuer: it.issuer,
    kind: it.kind,
    audience: it.audience,
    clientId: it.clientId,
    clients: it.clients,
    scopes: human ? (it.scopes ?? DEFAULT_SCOPES) : [],
    flows: human ? (it.flows ?? ["device", "browser"]) : [],
    claims: { user: it.claims.user ?? "sub", groups: it.claims.groups },
    algorithms: it.algorithms,
    jwksUri: it.jwksUri,
  };
}

export function buildRule({ then, approval, rate, ...rule }: RuleFile): RuleConfig {
  return {
    ...rule,
    verdict: then,
    ...(approval === undefined ? {} : { approval: buildApproval(approval) }),
    ...(rate === undefined ? {} : { rate: buildRate(rate) }),
  };
}

function buildMasking({ fields, action, analyzer, ...rest }: MaskingFile): MaskingRule {
  return {
    ...rest,
    ...(analyzer === undefined ? {} : { analyzer: buildAnalyzer(analyzer) }),
    fields: fields.map((text) => {
      const path = parseFieldPath(text);
      if (typeof path === "string") throw new TypeError("a configuration was built that had not been checked");
      return path;
    }),
    action: typeof action === "string" ? { kind: action } : { kind: "mask", keepLast: action.mask.keepLast },
  };
}

function buildAnalyzer({ deadline, ...rest }: NonNullable<MaskingFile["analyzer"]>): AnalyzerConfig {
  return { ...rest, deadlineMs: deadline };
}

function buildApproval({ wait, expires, window, ...rest }: NonNullable<RuleFile["approval"]>): ApprovalConfig {
  return { ...rest, waitMs: wait, expiresMs: expires, windowMs: window };
}

function buildRate({ per, ...rest }: NonNullable<RuleFile["rate"]>): RateConfig {
  return { ...rest, perMs: per };
}

function buildConnection(file: ConnectionFile, folder: string): ConnectionConfig {
  const { limits, idle, maxSession, descriptors, ...rest } = file;
  const { callSeconds, ...others } = limits;
  return {
    ...rest,
    descriptorFiles: descriptors.map((path) => resolve(folder, path)),
    limits: { ...others, callMs: callSeconds * 1_000 },
    idleMs: idle,
    maxSessionMs: maxSession,
  };
}

/** What the schema has checked. @throws TypeError when it has not: a defect of ours, not of the file */
function certain<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("a configuration was built that had not been checked");
  return value;
}
