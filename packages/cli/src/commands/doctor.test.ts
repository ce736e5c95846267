import { afterEach, expect, it } from "vitest";
import { Gateway, type GatewayOptions, json } from "../testing/gateway.ts";
import { runCli } from "../testing/world.ts";
import type { Check } from "./doctor-checks.ts";

let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const connections = (online: boolean): GatewayOptions => ({
  discovery: { insecureStorage: true },
  routes: {
    "GET /api/v1/connections": (_request, response) =>
      json(response, {
        connections: [{ name: "model-x", protocol: "http", api: "openai", online, requireReason: false, rules: [] }],
      }),
  },
});

async function doctor(options: GatewayOptions, env: Record<string, string> = {}, now?: () => number) {
  gateway = await Gateway.start(options);
  const all = { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", ...env };
  const { code, stdout } = await runCli(["doctor", "--json"], { env: all, ...(now && { now }) });
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return { code, checks, of: (name: string) => checks.find((check) => check.name === name) };
}

it("finds nothing wrong where nothing is", async () => {
  const { code, checks } = await doctor(connections(true));
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
    ["node", true],
    ["certificates", true],
    ["proxy", true],
    ["server", true],
    ["clock", true],
    ["keychain", true],
    ["token", true],
    ["agents", true],
  ]);
  expect(code).toBe(0);
});

it("names what is wrong, with a remedy, and exits with 1", async () => {
  const { code, of } = await doctor(
    connections(false),
    { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    () => Date.now() - 90_000,
  );
  expect(code).toBe(1);
  expect(of("clock")).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/^(89|9\d) s behind/),
    remedy: expect.any(String),
  });
  expect(of("agents")).toMatchObject({ ok: false, detail: "none is online for model-x" });
  expect(of("certificates")).toMatchObject({ ok: false });
});

it("says that there is no keychain where one is needed, and that nobody is signed in", async () => {
  const { of } = await doctor({ discovery: { insecureStorage: false } }, { HOOPISH_TOKEN: "" });
  expect(of("keychain")).toMatchObject({ ok: false, remedy: expect.stringContaining("--insecure-storage") });
  expect(of("token")).toMatchObject({ ok: false, remedy: "hoopish login" });
});

it("tells a server that is not there from one that is not hoopish", async () => {
  const away = await runCli(["doctor"], { env: { HOOPISH_SERVER: "http://127.0.0.1:9", HOOPISH_TOKEN: "t" } });
  expect(away.code).toBe(1);
  expect(away.stdout).toMatch(/✗ server: .*nothing listens there\n {4}try: /);
  const { of } = await doctor({ discovery: { name: "other" as never } });
  expect(of("server")?.detail).toContain("not as a hoopish server");
});

it("names the proxy without its password", async () => {
  const { of } = await doctor(connections(true), { HTTP_PROXY: "http://me:secret@127.0.0.1:9" });
  expect(of("proxy")).toMatchObject({ ok: true, detail: "http://127.0.0.1:9 is used for the server" });
  expect(of("server")).toMatchObject({ ok: false });
});
