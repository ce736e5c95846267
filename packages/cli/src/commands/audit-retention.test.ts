import { afterEach, describe, expect, it } from "vitest";
import { Gateway, json, type Route } from "../testing/gateway.ts";
import { runCli } from "../testing/world.ts";

let gateway: Gateway | undefined;
afterEach(() => gateway?.close());

async function cli(routes: Record<string, Route>, argv: readonly string[]) {
  await gateway?.close();
  gateway = await Gateway.start({ routes });
  const env = { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", NO_COLOR: "1" };
  return runCli(argv, { env, now: () => Date.parse("2026-11-23T12:00:00.000Z") });
}
const answers =
  (value: unknown): Route =>
  (_request, response) =>
    json(response, value);

const HOLD = `hold_${"4".repeat(32)}`;
const month = { class: "default", from: "2026-01-01T00:00:00.000Z", to: "2026-02-01T00:00:00.000Z" };
const hold = {
  id: HOLD,
  placedAt: "2026-11-20T08:00:00.000Z",
  by: "audit@bank.example",
  reason: "Case\u009b31m 114",
  filters: { user: "eve@bank.example", since: "2026-01-01T00:00:00.000Z" },
};

describe("audit purge", () => {
  const plan = {
    months: [
      {
        ...month,
        destroyed: { calls: 3, payloads: 6, bytes: 2048 },
        held: { calls: 1, payloads: 2, bytes: 10 },
        holds: [HOLD],
        running: 0,
      },
      {
        ...month,
        class: "heldOrBlocked",
        destroyed: { calls: 0, payloads: 0, bytes: 0 },
        held: { calls: 0, payloads: 0, bytes: 0 },
        holds: [],
        running: 2,
      },
    ],
  };
  const ends =
    (...lines: readonly unknown[]): Route =>
    (_request, response) => {
      response.write('{"working":true}\n');
      setTimeout(() => response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join("")), 20);
    };
  const purged = [{ ...month, count: 6, root: Buffer.alloc(32, 7).toString("base64"), record: 41 }];

  it("--dry-run shows what would go and what stays, and asks for nothing else", async () => {
    const { stdout, code } = await cli({ "GET /api/v1/retention": ends({ done: plan }) }, [
      "audit",
      "purge",
      "--dry-run",
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /default +2026-01 +6 payloads of 3 calls, 2.0 KiB +2 payloads of 1 calls, 10 B +hold_4{32}\n/,
    );
    expect(stdout).toMatch(/heldOrBlocked +2026-01 +nothing +nothing +2 of its calls still run/);
    expect(gateway?.requests.map(({ method }) => method)).toEqual(["GET"]);
    const json = await cli({ "GET /api/v1/retention": ends({ done: plan }) }, [
      "audit",
      "purge",
      "--dry-run",
      "--json",
    ]);
    expect(JSON.parse(json.stdout)).toEqual(plan);
  });

  it("shows what was destroyed, and which record says so", async () => {
    const routes = { "POST /api/v1/retention/purges": ends({ working: true }, { done: { purged } }) };
    const { stdout, code } = await cli(routes, ["audit", "purge"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/default +2026-01 +6 payloads +41 +BwcH/);
    expect(JSON.parse((await cli(routes, ["audit", "purge", "--json"])).stdout)).toEqual({ purged });
    const none = await cli({ "POST /api/v1/retention/purges": ends({ done: { purged: [] } }) }, ["audit", "purge"]);
    expect([none.code, none.stdout]).toEqual([0, "No payload's time is over, but for what holds keep.\n"]);
  });

  it("says why it could not go on, or that it does not know the end", async () => {
    const error = { code: "conflict", message: "another program reads the database", hint: "end it" };
    const failed = await cli({ "POST /api/v1/retention/purges": ends({ error }) }, ["audit", "purge"]);
    expect([failed.code, failed.stderr]).toEqual([1, "hoopish: another program reads the database\n  try: end it\n"]);
    const broken: Route = (_request, response) => {
      response.write('{"working":true}\n');
      setTimeout(() => response.destroy(), 20);
    };
    for (const route of [broken, ends()]) {
      const lost = await cli({ "POST /api/v1/retention/purges": route }, ["audit", "purge"]);
      expect(lost.code).toBe(7);
      expect(lost.stderr).toContain("broke off");
    }
  });
});

describe("audit hold", () => {
  const place = ["audit", "hold", "--reason", "Case 114", "--user", "eve@bank.example", "--since", "7d"];

  it("places a hold on what fits all filters", async () => {
    const routes = { "POST /api/v1/retention/holds": answers({ hold, calls: 12 }) };
    const { stdout, code } = await cli(routes, place);
    expect(code).toBe(0);
    expect(JSON.parse(gateway?.requests.at(-1)?.body ?? "")).toEqual({
      reason: "Case 114",
      filters: { user: "eve@bank.example", since: "2026-11-16T12:00:00.000Z" },
    });
    expect(stdout).toBe(
      `✓ ${HOLD} keeps what is of eve@bank.example and was decided from 2026-01-01T00:00:00.000Z\n12 recorded calls fit; later ones will too.\n`,
    );
    const nobody = await cli({ "POST /api/v1/retention/holds": answers({ hold, calls: 0 }) }, place);
    expect(nobody.stdout).toContain("No recorded call fits yet");
  });

  it("lists those that stand, or all; what auditors wrote cannot drive the terminal", async () => {
    const released = { at: "2026-11-22T08:00:00.000Z", by: "audit2@bank.example", reason: "settled" };
    const routes = { "GET /api/v1/retention/holds": answers({ holds: [hold, { ...hold, released }] }) };
    const list = await cli(routes, ["audit", "hold", "--list"]);
    expect(gateway?.requests.at(-1)?.path).toBe("/api/v1/retention/holds?state=active");
    expect(list.stdout).toContain("Case\\x9b31m 114");
    expect(list.stdout).not.toContain("settled");
    const all = await cli(routes, ["audit", "hold", "--list", "--all"]);
    expect(gateway?.requests.at(-1)?.path).toBe("/api/v1/retention/holds?state=all");
    expect(all.stdout).toContain("2026-11-22 08:00:00Z by audit2@bank.example: settled");
  });

  it("is released with a reason", async () => {
    const released = { at: "2026-11-22T08:00:00.000Z", by: "audit@bank.example", reason: "settled" };
    const routes = { [`DELETE /api/v1/retention/holds/${HOLD}`]: answers({ ...hold, released }) };
    const { stdout, code } = await cli(routes, ["audit", "release", HOLD, "--reason", "settled & closed"]);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`Hold ${HOLD} is released`)]);
    expect(gateway?.requests.at(-1)?.path).toBe(`/api/v1/retention/holds/${HOLD}?reason=settled+%26+closed`);
  });
});
