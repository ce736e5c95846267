import { formatLogKey, newLogKey } from "@hoopish/protocol";
import { expect } from "vitest";
import { newVaultKeyFile } from "../key-files.ts";
import { checkConfigBytes } from "../load.ts";
import { formatMistake } from "../mistake.ts";
import type { ConfigWorld } from "../substitute.ts";

/** The contract's sample (INTERFACES.md), without what is not built yet. */
export const SAMPLE: string = `listen: 127.0.0.1:8443
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

/** Keys for tests: they are nobody's. */
export const LOG_KEY: string = formatLogKey(newLogKey());
export const VAULT_KEY: string = newVaultKeyFile();
const KEYS: Record<string, string> = { "/etc/h/log.key": LOG_KEY, "/etc/h/vault.key": VAULT_KEY };

/** A world with these files, and with keys beside the configuration. */
export function worldOf(
  files: Record<string, string | Uint8Array> = {},
  env: Record<string, string> = {},
): ConfigWorld {
  return {
    env,
    readFile(path) {
      const content = files[path] ?? KEYS[path];
      if (content === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
      return Buffer.from(content);
    },
  };
}
/** Of an authority of timestamps, in PEM: to be read, not to be trusted by anybody. */
export const CA_PEM: string = `-----BEGIN CERTIFICATE-----
MIIBizCCATGgAwIBAgIUO4HPd+DmUSM0nxEA5RTrXoT1wzEwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPVGVzdCB0aW1lc3RhbXBzMCAXDTI2MTEyNTIyNDgyNFoYDzIx
MjYxMTAxMjI0ODI0WjAaMRgwFgYDVQQDDA9UZXN0IHRpbWVzdGFtcHMwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAR22CzNWONskW0Epc9VwE9fHdSkLMA1HCqj1wv9
l5+UrwoggaxqTJQmXSDEiCh9e2025Zg7Wg/J0ocLyeees/6To1MwUTAdBgNVHQ4E
FgQUbySdsxhBw/3fkwKgRPYEKBstPr8wHwYDVR0jBBgwFoAUbySdsxhBw/3fkwKg
RPYEKBstPr8wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAihCc
a55EqpGsW7A3qcDCIlHLGHFSyc+UZqwrat4thLkCID5ySsqrPBmO0fPQm/q+EuEH
8KSb34Hq059ESW1rXp23
-----END CERTIFICATE-----
`;

/** A witness's verifier key. */
export const WITNESS_VKEY: string = "bank.example/audit+a7963cb4+BGGZYxxIHdPkhKZzzsHk9Ix3Kvo4ApqHt1hOh5nfTiEs";

export const TLS: Record<string, string> = { "/etc/h/server.crt": "certificate", "/etc/h/server.key": "key" };

export function mistakes(text: string | Uint8Array, world: ConfigWorld = worldOf(TLS)): string[] {
  const check = checkConfigBytes(Buffer.from(text), "/etc/h/config.yaml", world);
  return "mistakes" in check ? check.mistakes.map((it) => formatMistake(it).replace("/etc/h/config.yaml:", "")) : [];
}

/** The sample with one line of it written otherwise. */
export function changed(line: string | RegExp, by: string): string {
  const text = SAMPLE.replace(line, () => by);
  expect(text).not.toBe(SAMPLE);
  return text;
}
