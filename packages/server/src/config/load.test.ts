// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { describe, expect, it } from "vitest";
import { checkConfig, checkConfigBytes, loadConfig } from "./load.ts";
import { formatMistake } from "./mistake.ts";
import type { ConfigWorld } from "./substitute.ts";

/** The contract's sample (INTERFACES.md), without what is not built yet. */
const SAMPLE = `listen: 127.0.0.1:8443
publicUrl: https://gateway.bank.example
tls: { certFile: server.crt, keyFile: server.key }
store: sqlite:./data/hoopish.db
evidence: { origin: gateway.bank.example/hoopish }
identity:
  issuers:
    - issuer: https://login.bank.example
      clientId: hoopish-cli
      audience: hoopish
      scopes: [openid, profile, email, groups, offline_access]
      claims: { user: email, groups: groups }
    - issuer: https://token.ci.example
      audience: hoopish
      kind: service
      claims: { user: sub }
roles: { admin: [platform-admins], auditor: [internal-audit] }
connections:
  - name: model-x
    agent: edge-1
    protocol: http
    api: openai
    limits: { requestBytes: 4MiB, responseBytes: 64MiB, callSeconds: 300, concurrentCalls: 32 }
    requireReason: true
    idle: 30m
rules:
  - { name: scientists, connections: [model-x], groups: [data-science], then: allow }
  - { name: nightly, connections: ["*"], services: ["repo:bank/scoring"], then: allow }
`;

function worldOf(files: Record<string, string | Uint8Array> = {}, env: Record<string, string> = {}): ConfigWorld {
  return {
    env,
    readFile(path) {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
      return Buffer.from(content);
    },
  };
}
const TLS = { "/etc/h/server.crt": "certificate", "/etc/h/server.key": "key" };

function mistakes(text: string | Uint8Array, world: ConfigWorld = worldOf(TLS)): string[] {
  const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", world);
  return "mistakes" in check ? check.mistakes.map((it) => formatMistake(it).replace("/etc/h/config.yaml:", "")) : [];
}

/** The sample with one line of it written otherwise. */
function changed(line: string | RegExp, by: string): string {
  const text = SAMPLE.replace(line, () => by);
  expect(text).not.toBe(SAMPLE);
  return text;
}

describe("the sample of the contract", () => {
  it("becomes a configuration with defaults, units and absolute paths", () => {
    const config = loadConfig("/etc/h/config.yaml", worldOf({ ...TLS, "/etc/h/config.yaml": SAMPLE }));
    expect(config).toEqual({
      listen: { host: "127.0.0.1", port: 8443 },
      publicUrl: "https://gateway.bank.example",
      tls: { certFile: "/etc/h/server.crt", keyFile: "/etc/h/server.key" },
      trustProxy: false,
      store: { kind: "sqlite", path: "/etc/h/data/hoopish.db" },
      evidence: { origin: "gateway.bank.example/hoopish" },
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
          limits: { requestBytes: 4_194_304, responseBytes: 67_108_864, callMs: 300_000, concurrentCalls: 32 },
          requireReason: true,
          idleMs: 1_800_000,
          maxSessionMs: 28_800_000,
          evidence: "overlap",
        },
      ],
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

  it("fills in the limits that are left out", () => {
    const text = changed(/^ {4}limits:.*\n/m, "    limits: { concurrentCalls: 2 }\n");
    const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", worldOf(TLS));
    expect("config" in check && check.config.connections[0]?.limits).toEqual({
      requestBytes: 4_194_304,
      responseBytes: 67_108_864,
      callMs: 300_000,
      concurrentCalls: 2,
    });
  });
});

describe("a file full of mistakes", () => {
  const BAD = `listen: 0.0.0.0:8443
publicUrl: http://gateway.bank.example/app
tsl: { certFile: a, keyFile: b }
store: postgres://db.bank.example/hoopish
evidence: { origin: gateway.bank.example/hoopish, keyFile: log.key, anchors: [] }
identity:
  clock_tolerance: 30s
  issuers:
    - issuer: http://login.bank.example
      clientId: hoopish
      audience: hoopish
      algorithms: [RS256, HS256, none]
    - issuer: https://ci.example
      kind: service
      flows: [device]
      claims: { user: 7 }
roles: { admin: ["*"] }
connections:
  - name: model-x
    agent: edge-1
    api: opnai
    limits: { requestBytes: 4MB/s, callSeconds: 0, concurrentCals: 3 }
    idle: 30
  - { name: Model-X, agent: edge-1, protocol: grpc, api: oip }
rules:
  - { name: a, connections: [modelx, "*"], groups: [science], then: allow }
  - { name: b, connections: ["*"], then: allow }
  - { name: b, connections: [], users: [x], when: call.rows > 1, then: hold, approval: { quorum: 1 } }
  - name: c
masking: []
masking: []
logLevel: loud
`;

  it("is told all of them at once, in order of place", () => {
    const unbuilt = "not built yet in this version; hoopish-server refuses to start rather than run without it";
    const algorithms =
      "unsigned tokens and shared secrets prove nothing about who signed; name algorithms with a public key";
    const noGroups = "no issuer of people has claims.groups";
    expect(mistakes(BAD)).toEqual([
      "1:9: listen: without tls this address would take tokens in the clear: give tls, or trustProxy: true behind a proxy",
      "2:12: publicUrl: must be https, unless it is this machine's own address or trustProxy is set",
      "2:12: publicUrl: write the origin only: no path, query or fragment",
      '3:1: tsl: there is no key "tsl"; did you mean "tls"?',
      `4:8: store: the PostgreSQL store (postgres://) is ${unbuilt}`,
      `5:51: evidence.keyFile: signing the log (evidence.keyFile) is ${unbuilt}`,
      `5:69: evidence.anchors: anchoring the log (evidence.anchors) is ${unbuilt}`,
      '7:3: identity.clock_tolerance: there is no key "clock_tolerance"; did you mean "clockTolerance"?',
      '9:7: identity.issuers[0].claims.user: "claims.user" is missing: the claim by which rules name a person, such as email or preferred_username',
      "9:15: identity.issuers[0].issuer: must be https: whoever stands on the way could give keys of his own (http is for this machine only)",
      "11:17: identity.issuers[0].audience: must differ from clientId: an ID token names the client as its audience and would pass for an access token",
      `12:27: identity.issuers[0].algorithms[1]: ${algorithms}`,
      `12:34: identity.issuers[0].algorithms[2]: ${algorithms}`,
      '13:7: identity.issuers[1].audience: "audience" is missing: write the audience that its tokens for hoopish name: 1 to 256 characters, no control characters, no spaces around it',
      "15:7: identity.issuers[1].flows: nobody signs in at a workload issuer: leave flows out",
      "16:23: identity.issuers[1].claims.user: write the name of a claim: 1 to 256 characters, no control characters, no spaces around it",
      `17:10: roles.admin: nobody can ever have this role: ${noGroups}`,
      '17:18: roles.admin[0]: "*" stands for nobody here: name each one',
      "21:10: connections[0].api: write one of: openai, oip, tfserving, triton, ollama, mlflow, generic",
      "22:29: connections[0].limits.requestBytes: write a size from 1B to 1GiB, such as 512KiB or 4MiB",
      "22:49: connections[0].limits.callSeconds: write a whole number from 1 to 86400",
      '22:52: connections[0].limits.concurrentCals: there is no key "concurrentCals"; did you mean "concurrentCalls"?',
      "23:11: connections[0].idle: write a duration from 1s to 7d, such as 30s, 15m or 8h",
      '24:13: connections[1].name: another connection above has the name "Model-X"',
      `24:47: connections[1].protocol: protocol grpc is ${unbuilt}`,
      '26:30: rules[0].connections[0]: there is no connection "modelx"; did you mean "model-x"?',
      `26:44: rules[0].groups: this can never match: ${noGroups}`,
      "27:5: rules[1]: this rule names nobody: give it groups, users or services",
      '28:13: rules[2].name: another rule above has the name "b"',
      '28:29: rules[2].connections: name a connection, or "*" for all',
      `28:45: rules[2].when: a rule's condition (when) is ${unbuilt}`,
      `28:72: rules[2].then: then: hold is ${unbuilt}`,
      `28:78: rules[2].approval: approval is ${unbuilt}`,
      "29:5: rules[3]: this rule names nobody: give it groups, users or services",
      '29:5: rules[3].connections: "connections" is missing: write a list here',
      '29:5: rules[3].then: "then" is missing: write allow',
      `30:1: masking: masking is ${unbuilt}`,
      '31:1: masking: the key "masking" stands here twice',
      "32:11: logLevel: write one of: debug, info, warn, error",
    ]);
  });

  it("throws them as one error that ends the program with 78", () => {
    const world = worldOf({ "/etc/h/config.yaml": BAD });
    expect(() => loadConfig("/etc/h/config.yaml", world)).toThrow(
      expect.objectContaining({
        code: "configuration",
        shape: expect.objectContaining({ exit: 78 }),
        message: expect.stringMatching(/^the configuration has 39 mistakes\n\/etc\/h\/config\.yaml:1:9: listen: /),
      }),
    );
  });
});

describe("one mistake", () => {
  it.each<[string, string, string[]]>([
    [
      "a key that is near to none",
      changed(/^roles:/m, "zebra: 1\nroles:"),
      [
        '17:1: zebra: there is no key "zebra"; known here: listen, publicUrl, tls, trustProxy, store, evidence, identity, roles, connections, rules, drain, logLevel',
      ],
    ],
    [
      "an empty mapping",
      changed(/^roles:.*$/m, "roles:"),
      ["17:7: roles: nothing is written here: write a mapping (key: value) here"],
    ],
    [
      "a text for a list",
      changed("[model-x], groups", "model-x, groups"),
      ["27:38: rules[0].connections: write a list here"],
    ],
    [
      "an issuer twice",
      changed("https://token.ci.example", "https://login.bank.example"),
      ["13:15: identity.issuers[1].issuer: another entry above has this issuer"],
    ],
    [
      "no issuer",
      changed(/issuers:\n(?: {4}.*\n)+/, "issuers: []\n"),
      ["7:12: identity.issuers: without an issuer nobody can sign in"],
    ],
    [
      "an issuer with a query",
      changed("https://login.bank.example", "https://login.bank.example/?tenant=1"),
      ["8:15: identity.issuers[0].issuer: an issuer has neither a query nor a fragment"],
    ],
    [
      "a user name in a URL",
      changed("https://login.bank.example", "https://me:secret@login.bank.example"),
      ["8:15: identity.issuers[0].issuer: write a URL such as https://login.bank.example, with no user name in it"],
    ],
    [
      "no clientId for people",
      changed(/ {6}clientId:.*\n/, ""),
      ['8:7: identity.issuers[0].clientId: "clientId" is missing: the client id with which the CLI signs people in'],
    ],
    [
      "a service in a rule, and no issuer of workloads",
      changed("kind: service", "kind: human\n      clientId: c"),
      ["29:42: rules[1].services: this can never match: there is no issuer of workloads (kind: service)"],
    ],
    [
      "a store that forgets",
      changed(/^store:.*$/m, 'store: "sqlite::memory:"'),
      ["4:8: store: evidence must outlive the process: write sqlite:PATH"],
    ],
    [
      "an origin with a scheme",
      changed("origin: ", "origin: https://"),
      [
        "5:21: evidence.origin: write a name for the log such as gateway.bank.example/hoopish: no scheme, no spaces, no +",
      ],
    ],
    [
      "https and nobody to speak it",
      changed(/^tls:.*\n/m, ""),
      ["2:12: publicUrl: says https, but there is no tls here, and no trustProxy: true to say that a proxy has it"],
    ],
    [
      "http where tls is spoken",
      changed("https://gateway.bank.example", "http://localhost:8443"),
      ["2:12: publicUrl: says http, but tls is given: what listens speaks https"],
    ],
    [
      "a certificate that is not there",
      changed("server.crt", "other.crt"),
      ['3:18: tls.certFile: the file "other.crt" cannot be read (ENOENT)'],
    ],
    [
      "spaces that nobody sees",
      changed("[data-science]", '["data-science "]'),
      [
        "27:58: rules[0].groups[0]: write the name of a group: 1 to 256 characters, no control characters, no spaces around it",
      ],
    ],
    [
      "a clock that may be hours off",
      changed("identity:\n", "identity:\n  clockTolerance: 2h\n"),
      ["7:19: identity.clockTolerance: write a duration from 0s to 5m, such as 30s, 15m or 8h"],
    ],
    [
      "__proto__",
      changed(/^roles:/m, "__proto__: { admin: [x] }\nroles:"),
      [
        '17:1: __proto__: there is no key "__proto__"; known here: listen, publicUrl, tls, trustProxy, store, evidence, identity, roles, connections, rules, drain, logLevel',
      ],
    ],
    [
      "a key that would paint the terminal",
      changed(/^roles:/m, '"\\e[31m": 1\nroles:'),
      [expect.stringContaining('17:1: ["\\u001b[31m"]: there is no key "\\u001b[31m"; known here')],
    ],
  ])("%s", (_what, text, expected) => {
    expect(mistakes(text)).toEqual(expected);
  });

  it.each(["127.0.0.1", "8443", "[::1]", "[zz]:1", "1.2.3:80", "127.1:80", "a:99999", "http://x:1", "a b:1"])(
    "an address to listen on: %s",
    (address) => {
      expect(mistakes(changed("127.0.0.1:8443", JSON.stringify(address)))).toEqual([
        "1:9: listen: write an address and a port, such as 127.0.0.1:8443 or [::1]:8443",
      ]);
    },
  );

  it.each(["[::1]:8443", "localhost:0", "127.3.2.1:80"])("%s is loopback and may be plain", (address) => {
    const text = changed(/^publicUrl.*\ntls.*\n/m, "publicUrl: http://127.0.0.1:8443\n");
    expect(mistakes(text.replace("127.0.0.1:8443", JSON.stringify(address)))).toEqual([]);
  });

  it("behind a proxy the server may listen plain on any address", () => {
    const text = changed(/^tls.*$/m, "trustProxy: true").replace("127.0.0.1:8443", "0.0.0.0:8443");
    expect(mistakes(text)).toEqual([]);
  });

  it("every unbuilt key of the contract is refused by name", () => {
    const later: [string, string][] = [
      ["retention: { default: 90d }", "retention is"],
      ["masking: [{ name: a }]", "masking is"],
      ["tests: []", "policy tests are"],
    ];
    for (const [line, what] of later) {
      expect(mistakes(`${SAMPLE}${line}\n`)).toEqual([
        expect.stringContaining(`${what} not built yet in this version`),
      ]);
    }
    for (const key of ["when: x", "approval: {}", "record: raw", "message: x"]) {
      expect(mistakes(changed("then: allow }", `then: allow, ${key} }`))).toEqual([
        expect.stringContaining("not built yet"),
      ]);
    }
    for (const key of ["record: raw", "uninspectable: allow"]) {
      expect(mistakes(changed("requireReason: true", key))).toEqual([expect.stringContaining("not built yet")]);
    }
    const others = [
      changed("then: allow", "then: block"),
      changed("protocol: http", "protocol: postgres"),
      changed("}\nidentity", ", vaultKeyFile: v }\nidentity"),
    ];
    for (const text of others) expect(mistakes(text)).toEqual([expect.stringContaining("not built yet")]);
  });
});

describe("substitution", () => {
  const world = worldOf(
    { ...TLS, "/etc/h/secrets/audience": "from-file\n", "/run/abs": "absolute", "/etc/h/latin": Buffer.from([0xe9]) },
    {
      AUDIENCE: "from-env",
      N: "7",
      YES: "true",
      LIST: "[a, b]",
      NEW: "x\nroles: {}",
      EMPTY: "",
      TWICE: "${env:AUDIENCE}",
    },
  );
  const configOf = (text: string) => {
    const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", world);
    if ("mistakes" in check) throw new Error(check.mistakes.map(formatMistake).join("\n"));
    return check.config;
  };
  const audience = (value: string): string | undefined =>
    configOf(changed("audience: hoopish", `audience: ${value}`)).identity.issuers[0]?.audience;

  it.each([
    ["${env:AUDIENCE}", "from-env"],
    ["${file:secrets/audience}", "from-file"],
    ["${file:/run/abs}", "absolute"],
    ['"a-${env:AUDIENCE}-${env:N}"', "a-from-env-7"],
    ["$${env:AUDIENCE}", "${env:AUDIENCE}"],
    ["$x", "$x"],
    ["${env:LIST}", "[a, b]"],
    // What comes in is not looked at again: a secret may hold any characters.
    ["${env:TWICE}", "${env:AUDIENCE}"],
  ])("%s", (written, read) => {
    expect(audience(written)).toBe(read);
  });

  it("numbers and flags may come from the environment", () => {
    const text = changed("callSeconds: 300", 'callSeconds: "${env:N}"').replace(
      "requireReason: true",
      "requireReason: ${env:YES}",
    );
    const connection = configOf(text).connections[0];
    expect([connection?.limits.callMs, connection?.requireReason]).toEqual([7_000, true]);
  });

  it("a value adds no line, no list and no key", () => {
    const text = changed("[data-science]", '["${env:LIST}"]');
    expect(configOf(text).rules[0]?.groups).toEqual(["[a, b]"]);
    expect(mistakes(changed("[data-science]", '["${env:NEW}"]'), world)).toEqual([
      "27:58: rules[0].groups[0]: write the name of a group: 1 to 256 characters, no control characters, no spaces around it",
    ]);
  });

  it("names what is missing, with its place, and checks nothing else about it", () => {
    const text = changed("clientId: hoopish-cli", "clientId: ${env:NOPE}${env:EMPTY}")
      .replace("audience: hoopish", "audience: ${file:nope}")
      .replace("user: email", "user: '${env:A-B}', groups: '${bash:ls}'")
      .replace(", groups: groups", "")
      .replace("origin: gateway", "origin: '${file:latin}")
      .replace(".bank.example/hoopish }", "${env:N' }");
    expect(mistakes(text, world)).toEqual(
      [
        '5:21: evidence.origin: the file "latin" is not UTF-8 text',
        "5:21: evidence.origin: a ${ without its }",
        "9:17: identity.issuers[0].clientId: the environment variable EMPTY is empty",
        "9:17: identity.issuers[0].clientId: the environment variable NOPE is not set",
        '10:17: identity.issuers[0].audience: the file "nope" cannot be read (ENOENT)',
        '12:23: identity.issuers[0].claims.user: "A-B" is no name of an environment variable',
        "12:45: identity.issuers[0].claims.groups: only ${env:NAME} and ${file:PATH} are known; write $${ for a plain ${",
      ].sort(byPlace),
    );
  });

  it("keys are not substituted", () => {
    expect(mistakes(changed("roles: { admin:", 'roles: { "${env:N}":'), world)).toEqual([
      '17:10: roles["${env:N}"]: there is no key "${env:N}"; known here: admin, auditor',
    ]);
  });

  it("within brackets it wants quotes, and is told so", () => {
    expect(mistakes(changed("[data-science]", "[${env:N}]"), world)[0]).toMatch(
      / within \[ \] and \{ \} write "\$\{…\}" in quotes$/,
    );
  });

  it("no mistake shows a value that came from outside", () => {
    const secret = "hunter2 hunter2";
    const outside = worldOf({ ...TLS, "/etc/h/s": secret }, { S: secret });
    const places = [
      "127.0.0.1:8443",
      "https://gateway.bank.example",
      "server.crt",
      "sqlite:./data/hoopish.db",
      "gateway.bank.example/hoopish",
      "https://login.bank.example",
      "hoopish-cli",
      "openid",
      "email",
      "service",
      "platform-admins",
      "name: model-x",
      "edge-1",
      "protocol: http",
      "api: openai",
      "4MiB",
      "300",
      "requireReason: true",
      "30m",
      "[model-x]",
      "data-science",
      "allow",
    ];
    for (const place of places) {
      for (const by of ["'${env:S}'", "'${file:s}'"]) {
        const prefix = /^\w+: /.exec(place)?.[0] ?? "";
        const found = mistakes(changed(place, place.startsWith("[") ? `[${by}]` : prefix + by), outside);
        expect(found.join("\n")).not.toContain("hunter2");
      }
    }
    // Nor by way of a suggestion.
    const near = changed("name: model-x", "name: '${env:S}'").replace("[model-x]", "[secret-nam]");
    expect(mistakes(near, worldOf(TLS, { S: "secret-name" })).join("\n")).not.toContain("secret-name");
  });
});

describe("YAML", () => {
  it("anchors and aliases are taken; the place of a mistake is where the value stands", () => {
    const shared = SAMPLE.replace("limits: {", "limits: &l {").replace(
      "rules:\n",
      "  - { name: y, agent: e, api: oip, limits: *l }\nrules:\n",
    );
    expect(mistakes(shared)).toEqual([]);
    expect(mistakes(shared.replace("callSeconds: 300", "callSeconds: 0"))).toEqual([
      "23:73: connections[0].limits.callSeconds: write a whole number from 1 to 86400",
      "23:73: connections[1].limits.callSeconds: write a whole number from 1 to 86400",
    ]);
  });

  it.each<[string, string, string]>([
    [
      "an alias without an anchor",
      changed("[data-science]", "*x"),
      "27:57: rules[0].groups: no anchor of this name stands above",
    ],
    [
      "an alias to what it stands in",
      changed("[data-science]", "&x [*x]"),
      "27:61: rules[0].groups[0]: an alias to the value that it stands in",
    ],
    [
      "merge keys",
      changed("roles: {", "roles: { <<: { admin: [a] },"),
      "17:10: roles: merge keys (<<) are not taken: write the members out",
    ],
    ["tags", changed("model-x\n", "!!str model-x\n"), ""],
    [
      "unknown tags",
      changed("model-x\n", "!secret model-x\n"),
      "19:11: tags (!…) have no meaning in this configuration",
    ],
    ["binary", changed("model-x\n", "!!binary model-x\n"), "19:11: tags (!…) have no meaning in this configuration"],
    [
      "a second document",
      `${SAMPLE}---\nlisten: x\n`,
      "29:1: a configuration is one YAML document; a second one (---) begins here",
    ],
    ["tabs", changed(/^ {4}agent/m, "\tagent"), "20:1: a tab cannot indent YAML; use spaces"],
    ["an escape that does not exist", changed("edge-1", '"edge\\q1"'), ""],
    ["a key that is a list", changed(/^roles:/m, "? [a]\n: b\nroles:"), "17:3: a key must be a text"],
    ["an open quote", changed("edge-1", '"edge-1'), ""],
    ["no YAML", "\u0000\u0001", "1:1: the character U+0000 may not stand in a configuration"],
    [
      "a character that turns the direction",
      changed("edge-1", "edge-\u202e1"),
      "1:1: the character U+202E may not stand in a configuration",
    ],
    [
      "a carriage return alone",
      changed("edge-1", "edge-1 # x\r    limits: {}"),
      "1:1: the character U+000D may not stand in a configuration",
    ],
    ["nothing", "", "1:1: nothing is written here: write a mapping (key: value) here"],
    ["a comment", "# nothing\n", "1:1: nothing is written here: write a mapping (key: value) here"],
    ["a text", "hello", "1:1: write a mapping (key: value) here"],
    ["a list", "- a", "1:1: write a mapping (key: value) here"],
    ["a very deep list", "[".repeat(200_000), "1:1: nested too deeply"],
    ["a deep list", "a: ".concat("[".repeat(40), "]".repeat(40)), ""],
  ])("%s", (_what, text, expected) => {
    expect(mistakes(text)).toEqual(expected === "" ? expect.anything() : [expected]);
  });

  it("%YAML 1.1 does not make `yes` a flag", () => {
    const text = `%YAML 1.1\n---\n${changed("requireReason: true", "requireReason: yes")}`;
    expect(mistakes(text)).toEqual(["26:20: connections[0].requireReason: write true or false"]);
  });

  it("bytes that are not UTF-8 are no configuration", () => {
    expect(mistakes(Buffer.from([0x6c, 0x69, 0x73, 0xff]))).toEqual(["1:1: the file is not UTF-8 text"]);
    expect(mistakes(Buffer.from(SAMPLE, "utf16le"))).toHaveLength(1);
  });

  it("a billion laughs are cut short", () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = level === 0 ? Array(9).fill("ha") : Array(9).fill(`*a${level - 1}`);
      return `a${level}: &a${level} [${items.join(", ")}]`;
    });
    const started = performance.now();
    const found = mistakes(levels.join("\n"));
    expect(found).toContainEqual(expect.stringContaining("too large or too deep"));
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("a huge file ends soon, with a list of bounded length", () => {
    expect(mistakes(`#${"x".repeat(1_048_576)}`)).toEqual(["1:1: the file is larger than 1 MiB"]);
    const started = performance.now();
    const keys = Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join("\n");
    expect(mistakes(keys).length).toBeGreaterThan(40_000);
    const world = worldOf({ "/etc/h/config.yaml": keys });
    expect(() => loadConfig("/etc/h/config.yaml", world)).toThrow(
      /^the configuration has \d+ mistakes\n(.*\n){100}… and \d+ more$/,
    );
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("the file itself", () => {
  it("that cannot be read is a mistake, with the system's reason", () => {
    expect(checkConfig("nowhere.yaml", worldOf())).toEqual({
      mistakes: [{ file: "nowhere.yaml", line: 1, column: 1, path: "", message: "the file cannot be read (ENOENT)" }],
    });
  });
});

function byPlace(a: string, b: string): number {
  const place = (text: string): number[] => text.split(":", 2).map(Number);
  const [lineA = 0, columnA = 0] = place(a);
  const [lineB = 0, columnB = 0] = place(b);
  return lineA - lineB || columnA - columnB || (a < b ? -1 : 1);
}
