import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CLI_CLIENT_ID, type Idp, startIdp } from "@hoopish/fixtures";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createHttp, type Http } from "../http/http.ts";
import { outcome, spawnSource } from "../testing/process.ts";
import { tempDir } from "../testing/world.ts";
import { signInWithDevice } from "./device-flow.ts";
import { createFileVault } from "./file-vault.ts";
import { discoverIssuer, toStoredTokens } from "./issuer.ts";
import { freshTokens, type RefreshPorts } from "./refresh.ts";
import { jwtTimes, renewAtMs, type StoredTokens } from "./tokens.ts";

const SERVER = "https://gateway.bank.example";
const uid = process.getuid?.();
let idp: Idp;
let configDir: string;
let ports: RefreshPorts;

beforeEach(async () => {
  idp = await startIdp({ autoConsent: "scientist@bank.example", accessTokenTtlSeconds: 100 });
  configDir = tempDir();
  const http = createHttp({}, new AbortController().signal);
  const vault = createFileVault(configDir, SERVER, uid);
  ports = { vault, http: async () => http, now: Date.now, configDir, host: hostname(), uid };
});
afterEach(() => idp.close());

/** A real sign-in; `ageMs` makes it as old as a test needs. */
async function signIn(ageMs: number): Promise<StoredTokens> {
  const issuer = await discoverIssuer(await ports.http(), idp.issuer, CLI_CLIENT_ID);
  const scopes = ["openid", "offline_access"];
  let approval: Promise<void> | undefined;
  const response = await signInWithDevice(
    issuer,
    scopes,
    ({ user_code }) => {
      approval = idp.approveDevice(user_code, "scientist@bank.example");
    },
    new AbortController().signal,
  );
  await approval;
  const of = { server: SERVER, issuer: idp.issuer, clientId: CLI_CLIENT_ID };
  const tokens = toStoredTokens(response, Date.now() - ageMs, of);
  await ports.vault.write(JSON.stringify(tokens));
  return tokens;
}

const stored = async (): Promise<StoredTokens> => JSON.parse((await ports.vault.read()) ?? "null") as StoredTokens;

it("leaves a token alone that has enough of its life left", async () => {
  const tokens = await signIn(0);
  expect((await freshTokens(ports)).tokens).toEqual(tokens);
});

it("exchanges one that is about to end, and stores the rotated refresh token", async () => {
  const before = await signIn(85_000);
  const { tokens } = await freshTokens(ports);
  expect(tokens.accessToken).not.toBe(before.accessToken);
  expect(tokens.refreshToken).not.toBe(before.refreshToken);
  expect(await stored()).toEqual(tokens);
  expect((await freshTokens(ports)).tokens).toEqual(tokens);
});

it("does it once for several processes at the same time: a rotated token sent twice would revoke the family", async () => {
  await signIn(101_000);
  const children = Array.from({ length: 5 }, () =>
    spawnSource(new URL("../testing/refresh-process.ts", import.meta.url), [configDir, SERVER]),
  );
  const results = await Promise.all(children.map(outcome));
  for (const { code, stderr } of results) expect([code, stderr]).toEqual([0, ""]);
  expect(new Set(results.map(({ stdout }) => stdout)).size).toBe(1);
  // The family lives: another exchange works.
  const tokens = await stored();
  await ports.vault.write(JSON.stringify({ ...tokens, issuedAtMs: 0, expiresAtMs: 1 }));
  expect((await freshTokens(ports)).tokens.accessToken).not.toBe(tokens.accessToken);
});

it("uses what is left of a token when the issuer is away, and says why; afterwards it is unreachable", async () => {
  const tokens = await signIn(90_000);
  await idp.stop();
  expect(await freshTokens(ports)).toMatchObject({ tokens, problem: { code: "unreachable" } });
  await expect(freshTokens({ ...ports, now: () => Date.now() + 11_000 })).rejects.toMatchObject({
    code: "unreachable",
  });
});

it("is signed out when the issuer refuses, and does not ask a second time with the same token", async () => {
  const tokens = await signIn(101_000);
  idp.removeAccount("scientist@bank.example");
  await expect(freshTokens(ports)).rejects.toMatchObject({ code: "unauthenticated", hint: "hoopish login" });
  await idp.stop();
  await expect(freshTokens(ports, tokens.refreshToken)).rejects.toMatchObject({ code: "unauthenticated" });
});

it("is signed out where there is nothing, or nothing that can be read", async () => {
  await expect(freshTokens(ports)).rejects.toMatchObject({ code: "unauthenticated" });
  await ports.vault.write('{"v":2}');
  await expect(freshTokens(ports)).rejects.toMatchObject({ code: "unauthenticated" });
});

it("leaves no lock behind", async () => {
  await signIn(101_000);
  await freshTokens(ports);
  expect(() => readFileSync(join(configDir, "sign-in.lock"))).toThrow("ENOENT");
});

it("never believes that a token lives longer than it says itself, however long the issuer's answer took", async () => {
  await signIn(101_000);
  const { fetch } = await ports.http();
  const late: Http = {
    ...(await ports.http()),
    fetch: async (...asked: Parameters<Http["fetch"]>) => {
      const answer = await fetch(...asked);
      await sleep(1_500);
      return answer;
    },
  };
  const { tokens } = await freshTokens({ ...ports, http: async () => late });
  expect(tokens.expiresAtMs).toBeLessThanOrEqual(jwtTimes(tokens.accessToken).expiresAtMs ?? 0);
  expect(tokens.expiresAtMs).toBeGreaterThan(Date.now() + 80_000);
});

it("renews a minute before the end, and short-lived tokens when a third is left", () => {
  expect(renewAtMs({ issuedAtMs: 0, expiresAtMs: 3_600_000 })).toBe(3_540_000);
  expect(renewAtMs({ issuedAtMs: 0, expiresAtMs: 90_000 })).toBe(60_000);
  expect(renewAtMs({ expiresAtMs: 100_000 })).toBe(40_000);
  expect(renewAtMs({})).toBe(Number.POSITIVE_INFINITY);
});
