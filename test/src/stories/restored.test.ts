import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Ended, type Program, run } from "../world/program.ts";
import { World } from "../world/world.ts";

/** A store of yesterday, a store in another place, a store without the files beside it. */

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  await work();
  await world.server.stop("SIGTERM");
  cpSync(world.path("data"), world.path("yesterday"), { recursive: true });
  await world.startServer();
  await work();
  // The CLI sees, and remembers, what the log has come to.
  expect((await world.cli("scientist", ["audit", "pin"])).code).toBe(0);
  await world.server.stop("SIGTERM");
  cpSync(world.path("data"), world.path("today"), { recursive: true });
}, 60_000);
afterAll(() => world?.close());

/** Something that is recorded. */
async function work(): Promise<void> {
  const token = await world.idp.mintAccessToken("audit@bank.example");
  for (let i = 0; i < 3; i++) {
    const url = `${world.serverUrl}/api/v1/audit/calls?limit=1`;
    expect((await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  }
}

const STORE = ["hoopish.db", "hoopish.db-wal", "hoopish.db-shm", "hoopish.db-intake-0", "hoopish.db-intake-1"];

/** The store's files of one day, and what else there is of another. */
function lay(out: { readonly database: string; readonly intake: string | undefined; readonly anchors: boolean }): void {
  rmSync(world.path("data"), { recursive: true, force: true });
  cpSync(world.path("today"), world.path("data"), { recursive: true });
  for (const name of STORE) rmSync(world.path("data", name), { force: true });
  if (!out.anchors) rmSync(world.path("data", "anchors"), { recursive: true });
  for (const name of STORE) {
    const from = name.includes("intake") ? out.intake : out.database;
    if (from !== undefined && existsSync(world.path(from, name)))
      cpSync(world.path(from, name), world.path("data", name));
  }
}

async function startRefused(): Promise<Ended & { stderr: string }> {
  const server = run("hoopish-server", ["start", "--config", world.path("server.yaml"), "--json"]);
  const late = setTimeout(() => server.child.kill("SIGKILL"), 20_000);
  const ended = await server.ended;
  clearTimeout(late);
  return { ...ended, stderr: server.stderr };
}
const verify = async (config: string): Promise<Ended & { stdout: string }> => {
  const program = run("hoopish-server", ["verify", "--config", config, "--json"]);
  return { ...(await program.ended), stdout: program.stdout };
};

describe("the database of yesterday, with what the anchors have seen today", () => {
  it.each([
    [
      "with its own intake",
      "yesterday",
      /has seen \d+ records of this log, the store holds \d+: records are missing here/,
    ],
    ["with today's intake", "today", /batch \d+ is missing; the database may be older than this file/],
    ["without an intake", undefined, /has seen \d+ records of this log, the store holds \d+: records are missing here/],
  ])("is not served, and nothing of it is signed: %s", async (_, intake, message) => {
    lay({ database: "yesterday", intake, anchors: true });
    const before = (await verify(world.path("server.yaml"))).stdout;
    const { code, stderr } = await startRefused();
    expect(code).toBe(78);
    expect(stderr).toMatch(message);
    // The database is whole, and of yesterday: it says nothing of today.
    expect(JSON.parse(before)).toMatchObject({ ok: true, findings: [] });
    expect((await verify(world.path("server.yaml"))).stdout).toBe(before);
  });

  it("put back to today's, it is served again", async () => {
    lay({ database: "today", intake: "today", anchors: true });
    await world.startServer();
    await work();
    await world.server.stop("SIGTERM");
  });
});

describe("the database of yesterday, with no anchor left", () => {
  it("starts, because nothing here can tell; every CLI that has seen today's says so", async () => {
    lay({ database: "yesterday", intake: "yesterday", anchors: false });
    await world.startServer();
    await work();
    const { code, stdout, stderr } = await world.cli("scientist", ["audit", "pin"]);
    expect(code, stdout + stderr).not.toBe(0);
    expect(stderr).toContain("THE EVIDENCE LOG CONTRADICTS ITSELF");
    await world.server.stop("SIGTERM");
  });
});

describe("a store that was killed, and then moved", () => {
  const moved = (): string => {
    const config = world.path("moved.yaml");
    const yaml = readFileSync(world.path("server.yaml"), "utf8");
    writeFileSync(config, yaml.replace(world.databasePath, world.path("elsewhere", "hoopish.db")));
    expect(readFileSync(config, "utf8")).not.toBe(yaml);
    return config;
  };
  const startMoved = async (): Promise<Program> => {
    const server = world.keep(run("hoopish-server", ["start", "--config", moved(), "--json"]));
    await server.event(({ event }) => event === "listening");
    return server;
  };

  it("is served from its new place, with everything", async () => {
    lay({ database: "today", intake: "today", anchors: true });
    await world.startServer();
    await work();
    world.server.child.kill("SIGKILL");
    await world.server.ended;
    renameSync(world.path("data"), world.path("elsewhere"));
    const server = await startMoved();
    await work();
    const { records } = await exportLog(world);
    const starts = records.filter(({ type }) => type === "server.started");
    expect(starts).toHaveLength(4);
    expect(await server.stop("SIGTERM")).toMatchObject({ code: 0 });
    const verdict = JSON.parse((await verify(moved())).stdout) as { ok: boolean; records: number };
    expect(verdict.ok).toBe(true);
    expect(verdict.records).toBeGreaterThan(records.length);
  });

  it("without the files beside the database, the log says that something may be missing", async () => {
    const killed = await startMoved();
    await work();
    killed.child.kill("SIGKILL");
    await killed.ended;
    for (const name of readdirSync(world.path("elsewhere"))) {
      if (name.includes("-intake-")) rmSync(world.path("elsewhere", name));
    }
    const server = await startMoved();
    const { records } = await exportLog(world);
    const gaps = records.filter(({ type }) => type === "log.gap");
    expect(gaps).toHaveLength(1);
    expect(gaps[0]?.reason).toContain("the newest file of the intake was missing");
    expect(server.stderr).toContain("files of the store's intake were missing");
    await server.stop("SIGTERM");
  });
});
