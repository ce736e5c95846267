import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, World } from "../world/world.ts";

/** How the log is doing, and who is told what of it. */

let world: World;

beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
});
afterAll(() => world?.close());

const doctor = async (account: Account): Promise<Record<string, { ok: boolean; detail: string } | undefined>> => {
  const { stdout } = await world.cli(account, ["doctor", "--json"]);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean; detail: string }[] };
  return Object.fromEntries(checks.map((check) => [check.name, check]));
};

describe("the log's anchors", () => {
  it("are told to admins and auditors, and to nobody else", async () => {
    for (const [account, told] of [
      ["audit", true],
      ["platform", true],
      ["scientist", false],
    ] as const) {
      const token = await world.idp.mintAccessToken(`${account}@bank.example`);
      const answer = await fetch(`${world.serverUrl}/api/v1/log/status`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const status = (await answer.json()) as Record<string, unknown>;
      expect(status).toMatchObject({ origin: "gateway.bank.example/hoopish", vkey: world.vkey });
      expect(Object.hasOwn(status, "anchors")).toBe(told);
      expect(JSON.stringify(status).includes(world.dir)).toBe(told);
    }
  });

  it("are what doctor looks at for internal audit; everybody's doctor looks at the log", async () => {
    const audit = await doctor("audit");
    expect(audit.log).toMatchObject({ ok: true, detail: expect.stringContaining("has only grown") });
    expect(audit.anchors).toMatchObject({ ok: true, detail: expect.stringContaining("records") });
    const own = await doctor("scientist");
    expect(own.log).toMatchObject({ ok: true });
    expect(own.anchors).toBeUndefined();
  });
});

describe("everyday commands", () => {
  it.each([[["whoami"]], [["connections"]], [["sessions"]]])("hoopish %j follows the log", async (args) => {
    const seen = async (): Promise<number> => {
      const { stdout } = await world.cli("scientist", ["audit", "pin", "--json"]);
      return (JSON.parse(stdout) as { size: number }).size;
    };
    const before = await seen();
    // Something new is recorded, and signed within a second or so.
    await world.cli("audit", ["audit", "list", "--limit", "1"]);
    const { readFileSync, readdirSync } = await import("node:fs");
    const folder = world.path("home", "scientist", ".hoopish");
    const pinned = (): number => {
      const name = readdirSync(folder).find((file) => /^log-[0-9a-f]{16}\.json$/.test(file)) ?? "";
      const { note } = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as { note: string };
      return Number(note.split("\n")[1]);
    };
    await expect
      .poll(
        async () => {
          expect((await world.cli("scientist", args)).code).toBe(0);
          return pinned();
        },
        { timeout: 15_000, interval: 300 },
      )
      .toBeGreaterThan(before);
  });
});
