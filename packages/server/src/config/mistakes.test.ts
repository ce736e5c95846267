// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { describe, expect, it } from "vitest";
import { loadConfig } from "./load.ts";
import { changed, mistakes, SAMPLE, TLS, worldOf } from "./testing/sample.ts";

/** The sample with these anchors. */
const anchored = (anchors: string): string =>
  changed("gateway.bank.example/hoopish }", `gateway.bank.example/hoopish, anchors: [${anchors}] }`);
/** A log's key is of type 0x01 (this one is sum.golang.org's). */
const LOG_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

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
  - { name: Model-X, agent: edge-1, protocol: smtp, api: oip }
rules:
  - { name: a, connections: [modelx, "*"], groups: [science], then: allow }
  - { name: b, connections: ["*"], then: allow }
  - { name: b, connections: [], users: [x], when: call.rows > 1, then: hold, approval: { quorum: 1 } }
  - name: c
masking: [{ name: m, connections: [modelx], direction: both, action: hide }]
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
      "5:78: evidence.anchors: name an anchor, or leave `anchors` out to have a file beside the store",
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
      "24:47: connections[1].protocol: write http, grpc or postgres",
      '26:30: rules[0].connections[0]: there is no connection "modelx"; did you mean "model-x"?',
      `26:44: rules[0].groups: this can never match: ${noGroups}`,
      "27:5: rules[1]: this rule names nobody: give it groups, users or services",
      '28:13: rules[2].name: another rule above has the name "b"',
      '28:29: rules[2].connections: name a connection, or "*" for all',
      '28:78: rules[2].approval.groups: "groups" is missing: write a list here',
      '29:5: rules[3].connections: "connections" is missing: write a list here',
      '29:5: rules[3].then: "then" is missing: write allow, hold or block',
      "30:11: masking[0]: this rule looks for nothing: give it detect, fields, patterns or an analyzer",
      '30:36: masking[0].connections[0]: there is no connection "modelx"; did you mean "model-x"?',
      "30:56: masking[0].direction: write request or response",
      "30:70: masking[0].action: write redact, pseudonym, block or { mask: { keepLast: 4 } }",
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
        message: expect.stringMatching(/^the configuration has 38 mistakes\n\/etc\/h\/config\.yaml:1:9: listen: /),
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
        '17:1: zebra: there is no key "zebra"; known here: listen, publicUrl, tls, trustProxy, store, evidence, retention, identity, roles, connections, rules, masking, tests, notify, timeZone, drain, logLevel',
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
      "one issuer for people and workloads, and nothing to tell them apart by",
      changed("https://token.ci.example", "https://login.bank.example"),
      [
        "13:7: identity.issuers[1]: several entries have this issuer: each must name the clients whose tokens it is about",
      ],
    ],
    [
      "one issuer and one client in two entries",
      changed("https://token.ci.example", "https://login.bank.example").replace(
        "kind: service",
        "kind: service\n      clients: [ci, hoopish-cli]\n      jwksUri: https://login.bank.example/jwks",
      ),
      [
        "16:21: identity.issuers[1].clients[1]: another entry above has this issuer and this client",
        "17:7: identity.issuers[1].jwksUri: must be the same in all entries of an issuer",
      ],
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
      "a URL with a tab in it, which the parser would leave out",
      changed("https://login.bank.example", '"https://login.bank\\t.example"'),
      ["8:15: identity.issuers[0].issuer: write a URL such as https://login.bank.example, with no user name in it"],
    ],
    [
      "a URL with backslashes, which the parser would turn round",
      changed("https://login.bank.example", "https:\\\\login.bank.example"),
      ["8:15: identity.issuers[0].issuer: write a URL such as https://login.bank.example, with no user name in it"],
    ],
    [
      "keys over plain http",
      changed("      audience: hoopish\n", "      audience: hoopish\n      jwksUri: http://login.bank.example/jwks\n"),
      [
        "11:16: identity.issuers[0].jwksUri: must be https: whoever stands on the way could give keys of his own (http is for this machine only)",
      ],
    ],
    [
      "a request of gigabytes",
      changed("requestBytes: 4MiB", "requestBytes: 2GiB"),
      ["23:29: connections[0].limits.requestBytes: write a size from 1B to 1GiB, such as 512KiB or 4MiB"],
    ],
    [
      "a connection without a name may be the one that a rule names",
      changed("name: model-x\n    agent", "agent"),
      [
        '19:5: connections[0].name: "name" is missing: write a name for the connection: letters, digits, ".", "_" and "-", at most 63, a letter or digit first',
      ],
    ],
    [
      "no clientId for people",
      changed(/ {6}clientId:.*\n/, ""),
      ['8:7: identity.issuers[0].clientId: "clientId" is missing: the client id with which the CLI signs people in'],
    ],
    [
      "a service in a rule, no issuer of workloads, and two issuers of people that rules could not tell apart",
      changed("kind: service", "kind: human\n      clientId: c"),
      [
        "13:7: identity.issuers[1]: a second issuer of people is not built yet in this version: rules cannot tell two issuers apart",
        "29:42: rules[1].services: this can never match: there is no issuer of workloads (kind: service)",
      ],
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
      "anchors of no kind, of two, twice, and one that is misspelt",
      anchored(
        '{ required: true }, { file: a, timestamp: { url: "http://t", caFile: ca.pem } }, { file: b }, { file: b }, { flie: c }',
      ),
      [
        "5:61: evidence.anchors[0]: an anchor is one of these: file, witness, timestamp",
        "5:81: evidence.anchors[1]: an anchor is one of these: file, witness, timestamp",
        '5:130: evidence.anchors[1].timestamp.caFile: the file "ca.pem" cannot be read (ENOENT)',
        "5:163: evidence.anchors[3].file: another anchor above is this one",
        "5:168: evidence.anchors[4]: an anchor is one of these: file, witness, timestamp",
        '5:170: evidence.anchors[4].flie: there is no key "flie"; did you mean "file"?',
      ],
    ],
    [
      "a witness in the clear, with a log's key, that is asked too often",
      anchored(`{ witness: { url: "http://w.bank.example", vkey: "${LOG_VKEY}", every: 1ms } }`),
      [
        "5:79: evidence.anchors[0].witness.url: must be https: whoever stands on the way could show an older checkpoint (http is for this machine only)",
        "5:110: evidence.anchors[0].witness.vkey: write the verifier key that `hoopish witness init` printed: name+id+key, of type 0x04",
        "5:189: evidence.anchors[0].witness.every: write a duration from 1s to 1d, such as 30s, 15m or 8h",
      ],
    ],
    [
      "a witness without a key and with a query, and authorities that are not there, or none",
      anchored(
        '{ witness: { url: "https://w.bank.example?x" } }, { timestamp: { url: "http://t", caFile: no.pem } }, { timestamp: { url: "http://u", caFile: server.key } }',
      ),
      [
        '5:63: evidence.anchors[0].witness.vkey: "vkey" is missing: write the verifier key that `hoopish witness init` printed: name+id+key, of type 0x04',
        "5:79: evidence.anchors[0].witness.url: a witness's address has neither a query nor a fragment",
        '5:151: evidence.anchors[1].timestamp.caFile: the file "no.pem" cannot be read (ENOENT)',
        '5:203: evidence.anchors[2].timestamp.caFile: the file "server.key" holds no certificates in PEM',
      ],
    ],
    [
      "payloads that would go while their call runs, and units and keys left out",
      changed(/^roles:/m, "retention: { default: 1d, heldOrBlocked: 90, record: 7y }\nroles:"),
      [
        "17:23: retention.default: write a duration from 2d to 100y, such as 90d, 12w or 7y",
        "17:42: retention.heldOrBlocked: write a duration from 2d to 100y, such as 90d, 12w or 7y",
        '17:46: retention.record: there is no key "record"; did you mean "records"?',
      ],
    ],
    [
      "records that go before their payloads",
      changed(/^roles:/m, "retention: { default: 2y, heldOrBlocked: 30d, records: 1y }\nroles:"),
      ["17:56: retention.records: records must be kept as long as payloads at least: they say what became of them"],
    ],
    [
      "payloads that outlive the records' standard",
      changed(/^roles:/m, "retention: { heldOrBlocked: 8y }\nroles:"),
      [
        "17:12: retention: records (where nothing is written: 7y) must be kept as long as payloads at least: they say what became of them",
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
        '17:1: __proto__: there is no key "__proto__"; known here: listen, publicUrl, tls, trustProxy, store, evidence, retention, identity, roles, connections, rules, masking, tests, notify, timeZone, drain, logLevel',
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

  it("one issuer may serve people and workloads, told apart by their clients", () => {
    const text = changed("https://token.ci.example", "https://login.bank.example");
    expect(mistakes(text.replace("kind: service", "kind: service\n      clients: [ci]"))).toEqual([]);
  });

  it("every unbuilt key of the contract is refused by name", () => {
    expect(mistakes(changed("then: allow }", "then: allow, record: raw }"))).toEqual([
      expect.stringContaining("not built yet"),
    ]);
    expect(mistakes(changed("requireReason: true", "record: raw"))).toEqual([expect.stringContaining("not built yet")]);
  });

  it("a setting of another protocol, which would look like a protection that is not there", () => {
    const one = (written: string) => changed("protocol: http", `protocol: http\n    ${written}`);
    expect(mistakes(one("modelFunctions: [f]"))).toEqual([expect.stringContaining("protocol postgres has it")]);
    expect(mistakes(one("descriptors: [a.binpb]"))).toEqual([expect.stringContaining("protocol grpc has it")]);
    expect(mistakes(changed("protocol: http", "protocol: postgres"))).toEqual([
      expect.stringContaining("with protocol postgres write generic"),
    ]);
  });
});

describe("a rule", () => {
  const rule = (parts: string): string => changed("then: allow }", `${parts} }`);
  const hold = (approval: string): string => rule(`then: hold, approval: { groups: [g]${approval} }`);
  it.each([
    ["a condition that is no CEL", rule("when: call.rows >, then: allow"), "not a condition in CEL"],
    ["an unknown member", rule("when: call.row > 1, then: allow"), "not a condition in CEL"],
    ["an unknown variable", rule("when: caller.rows > 1, then: allow"), "not a condition in CEL"],
    ["types that do not fit", rule("when: call.rows > 'x', then: allow"), "not a condition in CEL"],
    ["a condition that is no truth", rule("when: call.rows + 1, then: allow"), "true or false"],
    ["a hold without approval", rule("then: hold"), "a hold needs approval"],
    ["an approval without a hold", rule("then: allow, approval: { groups: [g] }"), "belongs to a hold alone"],
    ["a message without a block", rule("then: allow, message: no"), "belongs to a block alone"],
    ["nobody who approves", rule("then: hold, approval: { groups: [] }"), "name a group"],
    ["a wait beyond the end", hold(", wait: 1h, expires: 1m"), "nobody can wait past the end"],
    ["a window of one call", hold(", window: 1h"), "belongs to scope: session"],
    ["a rate that counts nothing", rule("then: allow, rate: { per: 1m }"), "name one"],
  ])("is refused: %s", (_, text, message) => {
    expect(mistakes(text)).toEqual([expect.stringContaining(message)]);
  });
  it("may say all that the contract names", () => {
    expect(
      mistakes(hold(", quorum: 2, wait: 2m, expires: 1h, scope: session, window: 30m, breakGlass: [oncall]")),
    ).toEqual([]);
    expect(
      mistakes(
        rule("when: 'time.hour >= 8 && call.kind == \"infer\"', then: allow, rate: { rows: 9, per: 1d, by: user }"),
      ),
    ).toEqual([]);
    expect(mistakes(rule('when: \'request.headers["x"] == "y" || request.json.a == 1\', then: allow'))).toEqual([]);
  });
  it.each([["a zone that is none", "timeZone: Mars/Base\n", "time zone"]])("%s is refused", (_, line, message) => {
    expect(mistakes(`${SAMPLE}${line}`)).toEqual([expect.stringContaining(message)]);
  });
});

it("an earlier key of the log is a log's verifier key", () => {
  const text = changed(
    "gateway.bank.example/hoopish }",
    `gateway.bank.example/hoopish, previousKeys: ["${LOG_VKEY}", x] }`,
  );
  expect(mistakes(text)).toEqual([
    expect.stringMatching(
      /^5:\d+: evidence\.previousKeys\[1\]: write the verifier key that `hoopish-server vkey` printed/,
    ),
  ]);
});

describe("the evidence's keys", () => {
  const named = (keys: string): string =>
    changed("gateway.bank.example/hoopish }", `gateway.bank.example/hoopish, ${keys} }`);

  it("must be there and be what they should be, named or not, and never stand in a message", () => {
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    const bad = worldOf({ ...TLS, "/etc/h/log.key": `x${secret}`, "/etc/h/vault.key": secret });
    const found = mistakes(SAMPLE, bad);
    expect(found).toEqual([
      '5:11: evidence.keyFile: the file "log.key" holds no Ed25519 private key in PEM (PKCS#8), as `hoopish-server init` makes one',
      '5:11: evidence.vaultKeyFile: the file "vault.key" holds no 32 bytes in base64, as `hoopish-server init` makes them',
    ]);
    expect(found.join()).not.toContain(secret);
    expect(mistakes(named("keyFile: no.key, vaultKeyFile: server.crt"))).toEqual([
      '5:60: evidence.keyFile: the file "no.key" cannot be read (ENOENT); `hoopish-server init` makes one',
      '5:82: evidence.vaultKeyFile: the file "server.crt" holds no 32 bytes in base64, as `hoopish-server init` makes them',
    ]);
  });
});

describe("endpoints that hear of approvals", () => {
  const SECRET = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
  const at = "https://hooks.bank.example/x";
  it.each([
    ["a webhook without a secret", `url: "${at}"`, "needs a secret"],
    ["a short secret", `url: "${at}", secret: whsec_MTIz`, "24 to 64 random bytes"],
    ["a chat with a secret", `url: "${at}", format: slack, secret: ${SECRET}`, "belongs to format: webhook alone"],
    ["an address in the clear", `url: "http://hooks.bank.example/x", secret: ${SECRET}`, "must be https"],
    ["an unknown event", `url: "${at}", secret: ${SECRET}, events: [approval.seen]`, "write any of"],
    ["no event", `url: "${at}", secret: ${SECRET}, events: []`, "leave `events` out"],
  ])("%s", (_, parts, message) => {
    const found = mistakes(`${SAMPLE}\nnotify: [{ name: desk, ${parts} }]\n`).join("\n");
    expect(found).toContain(message);
    expect(found).not.toContain(SECRET);
  });

  it("takes a good one", () => {
    const text = `${SAMPLE}\nnotify: [{ name: desk, url: "${at}", secret: ${SECRET} }]\n`;
    expect(mistakes(text)).toEqual([]);
  });
});

describe("masking", () => {
  it.each([
    ["a type that is not known", "detect: [SSN]", "write any of: US_SSN"],
    ["a path that is none", 'fields: ["applicant.name"]', 'it begins with "$"'],
    ["a filter", 'fields: ["$.a[?(@.b)]"]', "filters are not supported"],
    ["a slice", 'fields: ["$.a[0:2]"]', "slices are not supported"],
    ["an expression that is none", 'patterns: [{ type: X_ID, regex: "(", maxLength: 9 }]', "is no RE2 expression"],
    ["an anchor", 'patterns: [{ type: X_ID, regex: "^x$", maxLength: 9 }]', "have no meaning"],
    ["what matches nothing", 'patterns: [{ type: X_ID, regex: "x*", maxLength: 9 }]', "matches nothing at all"],
    ["a detector's own name", 'patterns: [{ type: EMAIL, regex: "x", maxLength: 9 }]', "choose another"],
    ["no length", 'patterns: [{ type: X_ID, regex: "x" }]', "maxLength"],
  ])("%s", (_, part, message) => {
    const rule = `{ name: m, connections: ["*"], direction: response, action: redact, ${part} }`;
    expect(mistakes(`${SAMPLE}\nmasking: [${rule}]\n`).join("\n")).toContain(message);
  });

  it("takes a good one", () => {
    const rule = `{ name: m, connections: ["*"], direction: request, detect: [US_SSN], fields: ["$..name", "$.a[*]['b c']"], action: { mask: { keepLast: 4 } } }`;
    expect(mistakes(`${SAMPLE}\nmasking: [${rule}]\n`)).toEqual([]);
  });
});
