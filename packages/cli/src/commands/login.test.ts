import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CLI_CLIENT_ID, type Idp, startIdp } from "@hoopish/fixtures";
import type { Discovery } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { Gateway } from "../testing/gateway.ts";
import { createWorld, runCli, type TestWorld, tempDir } from "../testing/world.ts";

const SCOPES = ["openid", "profile", "email", "groups", "offline_access"];
const SCIENTIST = "scientist@bank.example";

let idp: Idp;
let gateway: Gateway;
let configDir: string;

beforeEach(async () => {
  idp = await startIdp({ deviceIntervalSeconds: 1 });
  gateway = await startGateway();
  configDir = tempDir();
});
afterEach(async () => {
  await gateway.close();
  await idp.close();
});

function startGateway(issuer: Partial<Discovery["issuers"][number]> = {}, insecureStorage = true): Promise<Gateway> {
  const audience = "hoopish";
  const one = { issuer: idp.issuer, clientId: CLI_CLIENT_ID, audience, scopes: SCOPES, flows: ["device", "browser"] };
  const issuers = [{ ...one, ...issuer }] as Discovery["issuers"];
  return Gateway.start({ discovery: { issuers, insecureStorage } });
}

function start(argv: readonly string[], json = true): { world: TestWorld; done: Promise<number> } {
  const world = createWorld({ configDir });
  const all = ["login", "--server", gateway.url, ...(json ? ["--json"] : []), ...argv];
  return { world, done: run(world, all) };
}

const cli = (...argv: string[]) => runCli(argv, { configDir });

describe("device flow", () => {
  it("signs in, keeps the tokens 0600, remembers the server, and is known to whoami", async () => {
    const { world, done } = start([]);
    const code = await world.stdout.event<{ user_code: string; verification_uri_complete: string; expires_in: number }>(
      ({ event }) => event === "device_code",
    );
    expect(code.expires_in).toBe(600);
    expect(code.verification_uri_complete).toContain(code.user_code);
    await idp.approveDevice(code.user_code, SCIENTIST);
    expect(await done).toBe(0);
    expect(JSON.parse(world.stdout.lines.at(-1) ?? "")).toMatchObject({
      event: "signed_in",
      server: gateway.url,
      issuer: idp.issuer,
      user: SCIENTIST,
      storage: "file",
    });
    const tokens = readdirSync(configDir).filter((name) => name.startsWith("tokens-"));
    expect(tokens).toHaveLength(1);
    expect(statSync(join(configDir, tokens[0] ?? "")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(configDir, "config.json"), "utf8")).not.toContain("eyJ");
    expect(world.stdout.text + world.stderr.text).not.toContain("eyJ");

    const who = await cli("whoami", "--json");
    expect(JSON.parse(who.stdout)).toMatchObject({ user: SCIENTIST, server: gateway.url, storage: "file" });
    expect((await cli("whoami")).stdout).toContain("a file that only you can read (no keychain)");
  });

  it("prints address and code for a person", async () => {
    const { world, done } = start([], false);
    await expect.poll(() => world.stdout.text).toContain("enter the code");
    expect(world.stdout.text).toContain(`Open ${idp.issuer}/device`);
    const code = /[A-Z]{4}-[A-Z]{4}/.exec(world.stdout.text)?.[0] ?? "";
    await idp.approveDevice(code, SCIENTIST);
    expect(await done).toBe(0);
    expect(world.stdout.text).toContain(`✓ Signed in to ${gateway.url} as ${SCIENTIST}`);
  });

  it("slows down when it is told to, and still ends well", async () => {
    idp.slowDownNext(1);
    const { world, done } = start([]);
    const { user_code } = await world.stdout.event<{ user_code: string }>(({ event }) => event === "device_code");
    await idp.approveDevice(user_code, SCIENTIST);
    expect(await done).toBe(0);
  });

  it("exits with 4 when the person denies", async () => {
    const { world, done } = start([]);
    const { user_code } = await world.stdout.event<{ user_code: string }>(({ event }) => event === "device_code");
    await idp.denyDevice(user_code, SCIENTIST);
    expect(await done).toBe(4);
    expect(JSON.parse(world.stderr.text).error).toMatchObject({ code: "unauthenticated" });
    expect(readdirSync(configDir)).toEqual([]);
  });

  it("exits with 4 when the code expires", async () => {
    await idp.close();
    await gateway.close();
    idp = await startIdp({ deviceCodeTtlSeconds: 2 });
    gateway = await startGateway();
    const { world, done } = start([]);
    expect(await done).toBe(4);
    expect(world.stderr.text).toContain("expired before anybody entered it");
  });

  it("exits with 130 on SIGINT while it waits", async () => {
    const { world, done } = start([]);
    await world.stdout.event(({ event }) => event === "device_code");
    const since = Date.now();
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(Date.now() - since).toBeLessThan(500);
    expect(world.stderr.text).toBe("");
  });
});

describe("browser flow", () => {
  it("signs in over the loopback port, and shows a page of ours", async () => {
    const { world, done } = start(["--browser"]);
    const { url } = await world.stdout.event<{ url: string }>(({ event }) => event === "authorization_url");
    const asked = new URL(url).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("state")).toBeTruthy();
    expect(asked.get("nonce")).toBeTruthy();
    const redirect = await idp.approveAuthorization(url, SCIENTIST);
    expect(redirect).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback\?/);

    // Whoever guesses the port does not end the waiting.
    const forged = await fetch(new URL("/callback?code=x&state=wrong", redirect));
    expect(forged.status).toBe(404);
    const page = await fetch(redirect);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await page.text()).toContain("You can close this window");
    expect(await done).toBe(0);
    expect((await cli("whoami")).code).toBe(0);
  });

  it("is the default where the bank puts it first", async () => {
    await gateway.close();
    gateway = await startGateway({ flows: ["browser"] });
    const { world, done } = start([]);
    await world.stdout.event(({ event }) => event === "authorization_url");
    world.signal("SIGTERM");
    expect(await done).toBe(143);
  });

  it("tells the browser and the terminal when the person refuses", async () => {
    const { world, done } = start(["--browser"]);
    const { url } = await world.stdout.event<{ url: string }>(({ event }) => event === "authorization_url");
    const asked = new URL(url).searchParams;
    const back = new URL(asked.get("redirect_uri") ?? "");
    back.search = new URLSearchParams({
      error: "access_denied",
      state: asked.get("state") ?? "",
      iss: idp.issuer,
    }).toString();
    const page = await fetch(back);
    expect(page.status).toBe(400);
    expect(await page.text()).toContain("You are not signed in");
    expect(await done).toBe(4);
  });
});

describe("refusals", () => {
  it("names the flow that the bank allows", async () => {
    await gateway.close();
    gateway = await startGateway({ flows: ["device"] });
    const { world, done } = start(["--browser"]);
    expect(await done).toBe(5);
    expect(JSON.parse(world.stderr.text).error.hint).toBe("hoopish login --device");
  });

  it("wants a keychain, unless the person or the bank accepts a file", async () => {
    await gateway.close();
    gateway = await startGateway({}, false);
    const refused = start([]);
    expect(await refused.done).toBe(1);
    expect(JSON.parse(refused.world.stderr.text).error.hint).toContain("--insecure-storage");
    const accepted = start(["--insecure-storage"]);
    await accepted.world.stdout.event(({ event }) => event === "device_code");
    accepted.world.signal("SIGINT");
    expect(await accepted.done).toBe(130);
  });

  it("sends nobody to an identity provider without TLS", async () => {
    await gateway.close();
    gateway = await startGateway({ issuer: "http://login.bank.example" });
    const { world, done } = start([]);
    expect(await done).toBe(78);
    expect(world.stderr.text).toContain("not an https address");
  });

  it("keeps nothing when the server does not take the token", async () => {
    await gateway.close();
    const issuers = [{ issuer: idp.issuer, clientId: CLI_CLIENT_ID, audience: "x", scopes: SCOPES, flows: ["device"] }];
    gateway = await Gateway.start({
      discovery: { issuers: issuers as Discovery["issuers"], insecureStorage: true },
      accepts: () => false,
    });
    const { world, done } = start([]);
    const { user_code } = await world.stdout.event<{ user_code: string }>(({ event }) => event === "device_code");
    await idp.approveDevice(user_code, SCIENTIST);
    expect(await done).toBe(4);
    expect(readdirSync(configDir)).toEqual([]);
  });

  it("exits with 7 when the server or the identity provider is away", async () => {
    await idp.stop();
    expect(await start([]).done).toBe(7);
    const nowhere = await cli("login", "--server", "http://127.0.0.1:9");
    expect(nowhere.code).toBe(7);
    expect(nowhere.stderr).toContain("nothing listens there");
  });

  it("does not send a token in the clear", async () => {
    const plain = await cli("login", "--server", "http://gateway.bank.example");
    expect(plain.code).toBe(3);
    expect(plain.stderr).toContain("https://gateway.bank.example");
  });
});

describe("logout", () => {
  async function signIn(): Promise<string> {
    const { world, done } = start([]);
    const { user_code } = await world.stdout.event<{ user_code: string }>(({ event }) => event === "device_code");
    await idp.approveDevice(user_code, SCIENTIST);
    expect(await done).toBe(0);
    const file = readdirSync(configDir).find((name) => name.startsWith("tokens-")) ?? "";
    return (JSON.parse(readFileSync(join(configDir, file), "utf8")) as { refreshToken: string }).refreshToken;
  }

  it("takes the refresh token back and forgets everything", async () => {
    const refreshToken = await signIn();
    const out = await cli("logout", "--json");
    expect(JSON.parse(out.stdout)).toEqual({ server: gateway.url, signedOut: true, revoked: true });
    expect(readdirSync(configDir).filter((name) => name.startsWith("tokens-"))).toEqual([]);
    const body = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      client_id: CLI_CLIENT_ID,
    });
    expect((await fetch(`${idp.issuer}/token`, { method: "POST", body })).status).toBe(400);
    const who = await cli("whoami");
    expect(who.code).toBe(4);
    expect(who.stderr).toContain("hoopish login");
  });

  it("forgets here even when the identity provider is away, and says so", async () => {
    await signIn();
    await idp.stop();
    const out = await cli("logout");
    expect(out.code).toBe(0);
    expect(out.stderr).toContain("did not take them back");
    expect((await cli("whoami")).code).toBe(4);
    expect((await cli("logout")).stdout).toContain("You were not signed in");
  });
});
