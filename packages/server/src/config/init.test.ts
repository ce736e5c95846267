// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { HoopishError } from "@hoopish/protocol";
import { describe, expect, it } from "vitest";
import { initConfig } from "./init.ts";
import { checkConfigBytes } from "./load.ts";
import { CA_PEM, LOG_KEY, VAULT_KEY } from "./testing/sample.ts";

/** Where `hoopish-server init` has made the two keys, and nothing else is. */
const keyFile = (path: string): Buffer | undefined =>
  path.endsWith("/log.key") ? Buffer.from(LOG_KEY) : path.endsWith("/vault.key") ? Buffer.from(VAULT_KEY) : undefined;
const world = {
  env: {},
  readFile: (path: string) => {
    const key = keyFile(path);
    if (key === undefined) throw new Error("init names no other file that must be there");
    return key;
  },
};

describe("initConfig", () => {
  it.each([
    ["for this machine", {}],
    [
      "for a bank",
      { publicUrl: "https://gateway.bank.example", listen: "0.0.0.0:8443", issuer: "https://login.other.example/v2" },
    ],
    ["with characters that YAML would take for its own", { clientId: 'a: "b" #c', audience: "${env:X}" }],
  ])("%s: passes check as it stands", (_what, options) => {
    const check = checkConfigBytes(Buffer.from(initConfig(options)), "config.yaml", world);
    expect(check).toHaveProperty("config");
    if ("config" in check && "clientId" in options) {
      expect(check.config.identity.issuers[0]).toMatchObject(options);
    }
  });

  it("the lines that stand in comments are good too", () => {
    const text = initConfig({ publicUrl: "https://gateway.bank.example" })
      .replace(/^trustProxy: true$/m, "")
      .replace(/# (tls: )/, "$1")
      .replace(/^( +)# (- \{ name: bulk)/m, "$1$2")
      .replace(/^# masking:\n# /m, "masking:\n")
      .replace(
        /^( +)# (- file:|- witness:|- timestamp:| {2}required:|algorithms:|jwksUri:|- issuer:| {2}kind:| {2}audience:| {2}clients:| {2}claims:)/gm,
        "$1$2",
      );
    const readable = { env: {}, readFile: (path: string) => keyFile(path) ?? Buffer.from(CA_PEM) };
    const check = checkConfigBytes(Buffer.from(text), "config.yaml", readable);
    expect(check).toHaveProperty("config");
    expect("config" in check && [check.config.rules.length, check.config.masking.length]).toEqual([2, 1]);
    expect("config" in check && check.config.identity.issuers.map((issuer) => issuer.kind)).toEqual([
      "human",
      "service",
    ]);
    expect("config" in check && check.config.evidence.anchors.map(({ kind, required }) => [kind, required])).toEqual([
      ["file", false],
      ["file", true],
      ["witness", false],
      ["timestamp", false],
    ]);
  });

  it.each(["gateway", "ftp://x", "http://gateway.bank.example"])("refuses %s", (publicUrl) => {
    expect(() => initConfig({ publicUrl })).toThrow(HoopishError);
  });
});
