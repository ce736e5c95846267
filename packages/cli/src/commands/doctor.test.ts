import { afterEach, describe, expect, it } from "vitest";
import { Gateway, type GatewayOptions, json } from "../testing/gateway.ts";
import { logRoutes, TestLog } from "../testing/log.ts";
import { runCli, tempDir } from "../testing/world.ts";
import type { Check } from "./check.ts";

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
    ["log", true],
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

describe("the log", () => {
  const failing = { message: "connect ECONNREFUSED", since: "2026-11-23T08:00:00.000Z", consecutive: 4 };
  const anchor = { name: "file /mnt/audit", required: true, failures: 4, waiting: 7, skipped: 0 };
  const fine = { ...anchor, published: { size: 9, at: "2026-11-23T08:29:50.000Z" } };
  const now = (): number => Date.parse("2026-11-23T08:30:00.000Z");

  async function check(log: () => TestLog, anchors: object[] | undefined, configDir = tempDir()) {
    gateway ??= await Gateway.start({
      discovery: { insecureStorage: true, log: log().announced },
      routes: {
        ...connections(true).routes,
        ...logRoutes(log),
        "GET /api/v1/log/status": (_, response) =>
          json(response, {
            ...log().announced,
            size: log().size,
            signedAt: "2026-11-23T08:29:00.000Z",
            ...(anchors && { anchors }),
          }),
      },
    });
    const env = { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t" };
    const { code, stdout } = await runCli(["doctor", "--json"], { env, configDir, now });
    const { checks } = JSON.parse(stdout) as { checks: Check[] };
    return { code, of: (name: string) => checks.find((one) => one.name === name) };
  }

  it("is pinned, has grown, and was signed not long ago", async () => {
    const log = new TestLog().grow(9);
    const { of } = await check(() => log, undefined);
    expect(of("log")).toMatchObject({ ok: true, detail: expect.stringContaining("to 9 records") });
    expect(of("log")?.detail).toContain("the server named at first; last signed 60 s ago");
    // Who has no role is told nothing of anchors, and asked nothing of them.
    expect(of("anchors")).toBeUndefined();
  });

  it("that went back is found, with what to do", async () => {
    let log = new TestLog().grow(9);
    const configDir = tempDir();
    await check(() => log, undefined, configDir);
    log = new TestLog(log.signer).grow(5);
    const { code, of } = await check(() => log, undefined, configDir);
    expect(code).toBe(1);
    expect(of("log")).toMatchObject({
      ok: false,
      detail: expect.stringContaining("the log went back"),
      remedy: expect.stringContaining("internal audit"),
    });
  });

  it.each<readonly [string, object[], object]>([
    ["that take checkpoints", [fine], { ok: true, detail: "file /mnt/audit has 9 records, 10 s ago" }],
    [
      "that fail",
      [fine, { ...anchor, name: "witness", failing }],
      {
        ok: false,
        detail: "witness has failed 4 times, first 30 min ago, 7 waiting: connect ECONNREFUSED",
        remedy: expect.stringContaining("docs/anchors.md"),
      },
    ],
    ["that are not there", [], { ok: false, remedy: expect.stringContaining("evidence.anchors") }],
  ])("has anchors %s", async (_, anchors, wanted) => {
    const log = new TestLog().grow(9);
    const { of } = await check(() => log, anchors);
    expect(of("anchors")).toMatchObject(wanted);
  });
});
