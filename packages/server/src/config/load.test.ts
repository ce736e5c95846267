import { describe, expect, it } from "vitest";
import { checkConfig, checkConfigBytes, loadConfig } from "./load.ts";
import { CA_PEM, changed, mistakes, SAMPLE, TLS, WITNESS_VKEY, worldOf } from "./testing/sample.ts";

const DAY_MS = 86_400_000;

describe("the sample of the contract", () => {
  it("becomes a configuration with defaults, units and absolute paths", () => {
    const config = loadConfig("/etc/h/config.yaml", worldOf({ ...TLS, "/etc/h/config.yaml": SAMPLE }));
    expect(config).toEqual({
      listen: { host: "127.0.0.1", port: 8443 },
      publicUrl: "https://gateway.bank.example",
      tls: { certFile: "/etc/h/server.crt", keyFile: "/etc/h/server.key" },
      trustProxy: false,
      store: { kind: "sqlite", path: "/etc/h/data/hoopish.db" },
      evidence: {
        origin: "gateway.bank.example/hoopish",
        keyFile: "/etc/h/log.key",
        vaultKeyFile: "/etc/h/vault.key",
        previousKeys: [],
        anchors: [{ kind: "file", folder: "/etc/h/data/anchors", required: false }],
      },
      retention: {
        payloadsMs: { default: 90 * DAY_MS, heldOrBlocked: 365 * DAY_MS },
        recordsMs: 7 * 365 * DAY_MS,
      },
      identity: {
        clockToleranceSeconds: 30,
        insecureStorage: false,
        issuers: [
          {
            issuer: "https://login.bank.example",
            kind: "human",
            audience: "hoopish",
            clientId: "hoopish-cli",
            clients: [],
            scopes: ["openid", "profile", "email", "groups", "offline_access"],
            flows: ["device", "browser"],
            claims: { user: "email", groups: "groups" },
            algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
            jwksUri: undefined,
          },
          {
            issuer: "https://token.ci.example",
            kind: "service",
            audience: "hoopish",
            clientId: undefined,
            clients: [],
            scopes: [],
            flows: [],
            claims: { user: "sub", groups: undefined },
            algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
            jwksUri: undefined,
          },
        ],
      },
      roles: { admin: ["platform-admins"], auditor: ["internal-audit"] },
      connections: [
        {
          name: "model-x",
          agent: "edge-1",
          protocol: "http",
          api: "openai",
          limits: {
            ...{ requestBytes: 4_194_304, responseBytes: 67_108_864, callMs: 300_000, concurrentCalls: 32 },
            responseRows: 1_000_000,
          },
          requireReason: true,
          idleMs: 1_800_000,
          maxSessionMs: 28_800_000,
          evidence: "overlap",
          uninspectable: "block",
          ...{ descriptorFiles: [], opaque: "block", modelFunctions: [], readFunctions: [] },
        },
      ],
      tests: [],
      masking: [],
      notify: [],
      timeZone: "UTC",
      rules: [
        {
          name: "scientists",
          connections: ["model-x"],
          groups: ["data-science"],
          users: [],
          services: [],
          verdict: "allow",
        },
        {
          name: "nightly",
          connections: ["*"],
          groups: [],
          users: [],
          services: ["repo:bank/scoring"],
          verdict: "allow",
        },
      ],
      drainMs: 20_000,
      logLevel: "info",
    });
  });

  it.each([
    ["CRLF", SAMPLE.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${SAMPLE}`],
    ["a document marker", `---\n${SAMPLE}...\n`],
    ["flow style throughout (JSON is YAML)", SAMPLE.replace(/^roles: .*$/m, 'roles: {"admin": ["platform-admins"]}')],
  ])("reads the same with %s", (_what, text) => {
    expect(mistakes(text)).toEqual([]);
  });

  it("takes anchors of each kind, with their pace", () => {
    const anchors = `anchors: [{ file: ../audit, required: true }, { witness: { url: "https://w.bank.example/hoopish", vkey: "${WITNESS_VKEY}" } }, { timestamp: { url: "http://t.example/tsa", caFile: ca.pem, every: 1h }, required: "true" }]`;
    const text = changed("gateway.bank.example/hoopish }", `gateway.bank.example/hoopish, ${anchors} }`);
    const world = worldOf({ ...TLS, "/etc/h/ca.pem": CA_PEM });
    const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", world);
    expect("config" in check && check.config.evidence.anchors).toEqual([
      { kind: "file", folder: "/etc/audit", required: true },
      {
        kind: "witness",
        url: "https://w.bank.example/hoopish",
        vkey: WITNESS_VKEY,
        everyMs: 60_000,
        required: false,
      },
      { kind: "timestamp", url: "http://t.example/tsa", caFile: "/etc/h/ca.pem", everyMs: 3_600_000, required: true },
    ]);
  });

  it("takes how long payloads and records are kept", () => {
    const text = changed(/^roles:/m, "retention: { default: 12w, records: 10y }\nroles:");
    const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", worldOf(TLS));
    expect("config" in check && check.config.retention).toEqual({
      payloadsMs: { default: 84 * DAY_MS, heldOrBlocked: 365 * DAY_MS },
      recordsMs: 3_650 * DAY_MS,
    });
  });

  it("fills in the limits that are left out", () => {
    const text = changed(/^ {4}limits:.*\n/m, "    limits: { concurrentCalls: 2 }\n");
    const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", worldOf(TLS));
    expect("config" in check && check.config.connections[0]?.limits).toEqual({
      requestBytes: 4_194_304,
      responseBytes: 67_108_864,
      callMs: 300_000,
      concurrentCalls: 2,
      responseRows: 1_000_000,
    });
  });
});

describe("the file itself", () => {
  it("that cannot be read is a mistake, with the system's reason", () => {
    expect(checkConfig("nowhere.yaml", worldOf())).toEqual({
      mistakes: [{ file: "nowhere.yaml", line: 1, column: 1, path: "", message: "the file cannot be read (ENOENT)" }],
    });
  });
});
