import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, formatMistake, loadConfig, loadIdentity, readConfig } from "./load.ts";
import { SAMPLE_CONFIG } from "./sample.ts";

const folder = mkdtempSync(join(tmpdir(), "agent-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
const PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----";
writeFileSync(join(folder, "ca.pem"), `${PEM}\n`);
writeFileSync(join(folder, "key.txt"), "from-a-file\n");
writeFileSync(join(folder, "name.txt"), "edge-9\n");

const env = { MODEL_X_KEY: "key-1", EMPTY: "" };
const read = (text: string) => readConfig(text, { env, folder });
function config(text: string) {
  const result = read(text);
  if ("mistakes" in result) throw new Error(result.mistakes.map((it) => formatMistake("agent.yaml", it)).join("\n"));
  return result.config;
}
function mistakes(text: string): string[] {
  const result = read(text);
  return "mistakes" in result ? result.mistakes.map((it) => formatMistake("agent.yaml", it)) : [];
}
const MINIMAL = `server: wss://gateway.bank.example
name: edge-1
keyFile: agent.key
connections:
  - name: model-x
    target: http://10.0.0.5:8000
`;

describe("a configuration", () => {
  it("needs little, and gets the rest by default", () => {
    expect(config(MINIMAL)).toEqual({
      server: "wss://gateway.bank.example",
      serverCa: undefined,
      name: "edge-1",
      keyFile: join(folder, "agent.key"),
      connections: [
        {
          name: "model-x",
          protocol: "http",
          target: {
            ...{ protocol: "http", secure: false, host: "10.0.0.5", port: 8_000, database: "" },
            ...{ origin: "http://10.0.0.5:8000", basePath: "" },
          },
          tls: undefined,
          credential: undefined,
          pool: { connections: 64, keepAliveMs: 4_000 },
          maxCalls: 256,
          connectTimeoutMs: 5_000,
          headersTimeoutMs: 0,
        },
      ],
      drainMs: 30_000,
      logLevel: "info",
    });
  });

  it("may say everything", () => {
    const full = config(`
server: https://gateway.bank.example:8443/
serverCa: ca.pem
name: \${file:name.txt}
keyFile: /var/lib/agent.key
drain: 0s
logLevel: debug
connections:
  - name: a
    protocol: http
    target: https://model.bank.example/serving/v1/
    tls: { ca: ca.pem, cert: ca.pem, key: ca.pem }
    credential: { header: Authorization, value: "Bearer \${env:MODEL_X_KEY} \${file:key.txt} $\${env:X}" }
    pool: { connections: 8, keepAlive: 30s }
    maxCalls: 16
    connectTimeout: 250ms
    headersTimeout: 2m
  - { name: b, target: "http://[::1]:80", credential: { basic: svc, command: [vault, read], refresh: 1m } }
  - { name: c, target: "http://b", credential: { query: key, file: key.txt, prefix: "p " } }
`);
    expect(full).toMatchObject({
      server: "wss://gateway.bank.example:8443",
      serverCa: `${PEM}\n`,
      name: "edge-9",
      keyFile: "/var/lib/agent.key",
      drainMs: 0,
      logLevel: "debug",
    });
    const pem = join(folder, "ca.pem");
    const file = join(folder, "key.txt");
    expect(full.connections).toMatchObject([
      {
        target: { origin: "https://model.bank.example", basePath: "/serving/v1" },
        tls: { caFile: pem, certFile: pem, keyFile: pem },
        credential: {
          place: { kind: "header", name: "authorization" },
          source: { kind: "template", parts: ["Bearer key-1 ", { file }, ` $${"{env:X}"}`] },
        },
        pool: { connections: 8, keepAliveMs: 30_000 },
        maxCalls: 16,
        connectTimeoutMs: 250,
        headersTimeoutMs: 120_000,
      },
      {
        target: { origin: "http://[::1]", basePath: "" },
        credential: {
          place: { kind: "basic", user: "svc" },
          source: { kind: "command", argv: ["vault", "read"], prefix: "", refreshMs: 60_000, timeoutMs: 10_000 },
        },
      },
      { credential: { place: { kind: "query", name: "key" }, source: { kind: "template", parts: ["p ", { file }] } } },
    ]);
  });

  it("is what init writes", () => {
    const { connections } = config(SAMPLE_CONFIG);
    expect(connections[0]?.credential?.source).toEqual({ kind: "template", parts: ["Bearer key-1"] });
    // Every setting that stands there as a comment is one that exists.
    const uncommented = SAMPLE_CONFIG.replace(
      /^( *)# (serverCa|drain|logLevel|pool|maxCalls|connectTimeout|headersTimeout)/gm,
      "$1$2",
    );
    writeFileSync(join(folder, "bank-ca.pem"), PEM);
    expect(mistakes(uncommented)).toEqual([]);
  });
});

describe("targets", () => {
  const of = (written: string) => config(`server: wss://g\nname: edge-1\nkeyFile: agent.key\nconnections:\n${written}`);
  it("say what is spoken with them", () => {
    const { connections } = of(`  - { name: a, target: "grpcs://model.bank.example" }
  - { name: b, target: "grpc://10.0.0.5:8001", credential: { basic: svc, value: x } }
  - { name: c, target: "postgresql://db/features", credential: { postgres: agent, value: x }, tls: {} }
  - { name: d, protocol: postgres, target: "postgres://[::1]:5433" }
`);
    expect(connections.map(({ target }) => target)).toMatchObject([
      { protocol: "grpc", secure: true, origin: "https://model.bank.example", port: 443 },
      { protocol: "grpc", secure: false, origin: "http://10.0.0.5:8001" },
      { protocol: "postgres", host: "db", port: 5_432, database: "features" },
      { protocol: "postgres", host: "::1", port: 5_433, database: "" },
    ]);
    expect(connections[2]?.credential?.place).toEqual({ kind: "postgres", user: "agent" });
  });
});

describe("mistakes", () => {
  it("are all reported, each with its line and column", () => {
    expect(
      mistakes(`server: gateway.bank.example
name: Edge 1
keyfile: agent.key
drain: 30
connections:
  - name: model-x
    target: 10.0.0.5:8000
    targets: http://x
  - name: model-y
    protocol: grpc
    target: grpcs://10.0.0.5:8001
    credential:
      header: "X Key"
      basic: user
      value: "\${env:NOT_SET}"
      command: []
    pool: { connections: 0, keepAlive: 4 s }
  - target: http://user:pw@h/?q=1
    tls: { cert: nowhere.pem }
    credential: text
logLevel: loud
`),
    ).toMatchInlineSnapshot(`
      [
        "agent.yaml:1:1: "keyFile" is missing",
        "agent.yaml:1:9: server: not a server address; write wss://gateway.bank.example",
        "agent.yaml:2:7: name: lower-case letters, digits and hyphens",
        "agent.yaml:3:1: there is no setting "keyfile" here",
        "agent.yaml:4:8: drain: not a duration; write 250ms, 30s or 15m",
        "agent.yaml:7:13: connections[0].target: not a target; write http://host:port, https://, grpc://, grpcs:// or postgres://host:port/database",
        "agent.yaml:8:5: connections[0]: there is no setting "targets" here",
        "agent.yaml:13:7: connections[1].credential: says where it goes with exactly one of header, basic, query and postgres",
        "agent.yaml:13:7: connections[1].credential: says where it comes from with exactly one of value, file and command",
        "agent.yaml:13:15: connections[1].credential.header: not a header name",
        "agent.yaml:16:16: connections[1].credential.command: must have at least one entry",
        "agent.yaml:17:26: connections[1].pool.connections: must be at least 1",
        "agent.yaml:17:40: connections[1].pool.keepAlive: not a duration; write 250ms, 30s or 15m",
        "agent.yaml:18:5: connections[2]: "name" is missing",
        "agent.yaml:18:13: connections[2].target: a credential does not belong in the address; write it under credential:",
        "agent.yaml:20:17: connections[2].credential: must be a mapping",
        "agent.yaml:21:11: logLevel: must be one of debug, info, warn, error",
      ]
    `);
  });

  it("in YAML itself", () => {
    expect(mistakes("server: [\nname: x")).toMatchInlineSnapshot(`
      [
        "agent.yaml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]",
      ]
    `);
    expect(mistakes("name: a\nname: b")).toMatchInlineSnapshot(`
      [
        "agent.yaml:2:1: Map keys must be unique",
      ]
    `);
    expect(mistakes("")).toMatchInlineSnapshot(`
      [
        "agent.yaml:1:1: must be a mapping",
      ]
    `);
    expect(mistakes("- a\n- b")).toMatchInlineSnapshot(`
      [
        "agent.yaml:1:1: must be a mapping",
      ]
    `);
  });

  it("that only show when the parts are seen together", () => {
    expect(
      mistakes(`server: ws://gateway.bank.example
name: edge-1
keyFile: k
connections:
  - name: a
    target: http://h
    tls: { ca: ca.pem }
  - name: a
    target: https://h
    tls: { cert: ca.pem }
  - name: b
    target: http://h
    credential: { header: Host, value: x, prefix: y, refresh: 1m }
  - name: c
    target: http://h
    credential: { value: x }
`),
    ).toMatchInlineSnapshot(`
      [
        "agent.yaml:7:10: connections[0].tls: the target is plain http: write https://",
        "agent.yaml:10:10: connections[1].tls: a client certificate needs both cert and key",
        "agent.yaml:13:27: connections[2].credential.header: this header belongs to HTTP itself",
        "agent.yaml:13:51: connections[2].credential.prefix: write it into value",
        "agent.yaml:13:63: connections[2].credential.refresh: only a command has it",
        "agent.yaml:16:17: connections[3].credential: says where it goes with exactly one of header, basic, query and postgres",
      ]
    `);
  });

  it("of the file as a whole", () => {
    const twice = `${MINIMAL.replace("wss:", "ws:")}  - { name: model-x, target: "http://other" }\n`;
    expect(mistakes(twice)).toMatchInlineSnapshot(`
      [
        "agent.yaml:1:9: server: plain ws:// is for loopback; write wss://, or allowPlainServer: true if the network is protected",
        "agent.yaml:7:13: connections[1].name: "model-x" stands here twice",
      ]
    `);
    expect(mistakes(MINIMAL.replace("wss://gateway.bank.example", "ws://127.0.0.1:8443"))).toEqual([]);
    expect(mistakes(`allowPlainServer: true\n${MINIMAL.replace("wss:", "ws:")}`)).toEqual([]);
  });

  it("in what is referred to", () => {
    expect(
      mistakes(`server: "wss://\${env:HOST}"
serverCa: key.txt
name: \${file:nowhere}
keyFile: \${what:x}
connections:
  - name: a
    target: http://h
    credential: { header: x, value: "\${env:EMPTY}" }
`).map((line) => line.replaceAll(folder, "…")),
    ).toMatchInlineSnapshot(`
      [
        "agent.yaml:1:9: server: the environment variable HOST is not set",
        "agent.yaml:3:7: name: cannot read …/nowhere (ENOENT)",
        "agent.yaml:4:10: keyFile: \${what:x} is not a reference; write \${env:NAME} or \${file:PATH}",
      ]
    `);
    expect(
      mistakes(`${MINIMAL}    credential: { header: x, value: "\${file:nowhere}" }
  - { name: b, target: "http://h", credential: { header: x, file: nowhere } }
  - { name: c, target: "https://h", tls: { ca: key.txt } }
`).map((line) => line.replaceAll(folder, "…")),
    ).toMatchInlineSnapshot(`
      [
        "agent.yaml:7:37: connections[0].credential.value: cannot read …/nowhere (ENOENT)",
        "agent.yaml:8:67: connections[1].credential.file: cannot read …/nowhere (ENOENT)",
        "agent.yaml:9:48: connections[2].tls.ca: …/key.txt holds no PEM",
      ]
    `);
  });

  it("never quote a credential", () => {
    const text = `${MINIMAL}    credential: { header: x, value: "\${env:MODEL_X_KEY}", file: key.txt, nonsense: 1 }\n`;
    expect(mistakes(text)).not.toEqual([]);
    expect(mistakes(text).join()).not.toMatch(/key-1|from-a-file/);
  });
});

describe("files", () => {
  it("that cannot be read are a mistake too", () => {
    const file = join(folder, "nowhere.yaml");
    expect(() => loadConfig(file, env)).toThrow(
      new ConfigError(file, [{ line: 1, column: 1, path: "", message: "cannot be read (ENOENT)" }]),
    );
  });

  it("are enough for joining before the secrets of connections are there", () => {
    const file = join(folder, "join.yaml");
    writeFileSync(file, SAMPLE_CONFIG);
    expect(() => loadConfig(file, {})).toThrow("MODEL_X_KEY is not set");
    expect(loadIdentity(file, {})).toEqual({
      server: "wss://gateway.bank.example",
      serverCa: undefined,
      name: "edge-1",
      keyFile: join(folder, "agent.key"),
    });
    writeFileSync(file, "server: x\nname: edge-1\n");
    expect(() => loadIdentity(file, {})).toThrow(/keyFile.* is missing/);
  });
});
