// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkConfigBytes, loadConfig } from "./load.ts";
import { formatMistake } from "./mistake.ts";
import { changed, mistakes, TLS, worldOf } from "./testing/sample.ts";

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

  it("whatever the value is, it comes out as it went in or is refused, and nothing else changes", () => {
    const text = changed("audience: hoopish", "audience: ${env:V}");
    const expected = loadConfig(
      "/etc/h/config.yaml",
      worldOf({ ...TLS, "/etc/h/config.yaml": text }, { V: "hoopish" }),
    );
    const value = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.stringMatching(/^[a-z: ,#&*!|>'"%@`{}[\]$\n-]{1,20}$/),
    );
    fc.assert(
      fc.property(value, (V) => {
        const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", worldOf(TLS, { V }));
        if ("mistakes" in check) {
          expect(check.mistakes.map((it) => it.path)).toEqual(["identity.issuers[0].audience"]);
          return;
        }
        const [first, ...others] = check.config.identity.issuers;
        expect(first?.audience).toBe(V);
        const issuers = [{ ...first, audience: "hoopish" }, ...others];
        expect({ ...check.config, identity: { ...check.config.identity, issuers } }).toEqual(expected);
      }),
      { numRuns: 300 },
    );
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

  it("a name that every object has is no variable, and a file of any size is no value", () => {
    const text = changed("clientId: hoopish-cli", "clientId: ${env:constructor}").replace(
      "audience: hoopish",
      "audience: ${file:big}",
    );
    expect(mistakes(text, worldOf({ ...TLS, "/etc/h/big": "x".repeat(65_537) }))).toEqual([
      "9:17: identity.issuers[0].clientId: the environment variable constructor is not set",
      '10:17: identity.issuers[0].audience: the file "big" is larger than 64 KiB',
    ]);
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

function byPlace(a: string, b: string): number {
  const place = (text: string): number[] => text.split(":", 2).map(Number);
  const [lineA = 0, columnA = 0] = place(a);
  const [lineB = 0, columnB = 0] = place(b);
  return lineA - lineB || columnA - columnB || (a < b ? -1 : 1);
}
