import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { CallId } from "@hoopish/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NEVER, RetentionWorld, SCHEDULE } from "../testing/retention-world.ts";

/**
 * A purge in a process of its own, that kills itself without warning before the step of the purge that it is told. The store
 * is put together as store.ts does it, with a hand on what the retention store asks.
 */
const PURGER = `
  const load = (path) => import(process.env.SQLITE + path);
  const { DatabaseThreads } = await load("threads.ts");
  const { Commits } = await load("commits.ts");
  const { createRetentionStore } = await load("retention/retention-store.ts");
  const { TEST_KEYS } = await load("testing/keys.ts");
  const { createEvidenceLog } = await import(process.env.EVIDENCE + "log.ts");
  const { Retention } = await import(process.env.EVIDENCE + "retention/retention.ts");
  const { NOW, DB, DIE_AT, DIE_AFTER } = process.env;
  const now = () => Number(NOW);
  const keys = TEST_KEYS;
  const threads = await DatabaseThreads.open({ path: DB, keys });
  const commits = await Commits.open(threads, { storePath: DB, vaultKey: keys.vault });
  const log = createEvidenceLog(commits, { replica: "gw-1", clock: now });
  let left = Number(DIE_AFTER);
  const step = (name) => {
    if (name === DIE_AT && left-- === 0) process.kill(process.pid, "SIGKILL");
  };
  const store = createRetentionStore({
    read: async (method, ...args) => {
      step(method);
      await commits.settle();
      return (await threads.reader()).ask("reader." + method, ...args);
    },
    write: async (method, ...args) => {
      step(method);
      return (await threads.writer()).ask(method, ...args);
    },
    renewIntake: () => {
      step("renewIntake");
      return commits.renewIntake();
    },
    log: Object.assign(Object.create(log), {
      appendWith: (drafts, change) => {
        step("appendWith");
        return log.appendWith(drafts, change);
      },
    }),
    now,
  });
  const payloadsMs = { default: 90 * 86400000, heldOrBlocked: 365 * 86400000 };
  await new Retention({ store, payloadsMs, now }).purge({ by: "schedule" }, new AbortController().signal);
  await log.close();
  await threads.close();
  commits.close();
`;

let world: RetentionWorld;
const held = new Map<CallId, Buffer>();
const others: CallId[] = [];

beforeEach(async () => {
  world = new RetentionWorld();
  held.clear();
  others.length = 0;
  await world.open();
  for (let i = 0; i < 30; i++) {
    const user = i % 5 === 0 ? "eve@bank.example" : "scientist@bank.example";
    // One that takes several steps.
    const body = randomBytes(i === 10 ? 3_500_000 : 15_000).toString("base64");
    const call = await world.call({ user }, body);
    if (i % 5 === 0) held.set(call, Buffer.from(body));
    else others.push(call);
  }
  await world.store.retention.place({ reason: "a dispute", filters: { user: "eve@bank.example" } }, SCHEDULE);
  world.at("2026-06-01T00:00:00.000Z");
  await world.store.close();
});
afterEach(() => world.close());

function purgeAndDie(at: string, after: number): Promise<NodeJS.Signals | null> {
  const child = spawn(
    process.execPath,
    ["--conditions=@hoopish/source", "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", PURGER],
    {
      cwd: fileURLToPath(new URL("../../../../", import.meta.url)),
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        ...process.env,
        DB: world.path,
        NOW: String(world.nowMs),
        SQLITE: new URL("../", import.meta.url).href,
        EVIDENCE: new URL("../../../evidence/", import.meta.url).href,
        DIE_AT: at,
        DIE_AFTER: String(after),
      },
    },
  );
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (_, signal) => resolve(signal));
  });
}

async function checkHeld(): Promise<void> {
  for (const [call, body] of held) {
    expect((await world.payload(call, "request")).equals(body)).toBe(true);
    expect(await world.states(call)).toEqual(["request complete", "delivered complete"]);
  }
}

test.each([
  ["before it begins", "purger.begin", 0, "whole"],
  ["before anything is sealed again", "purger.reseal", 0, "whole"],
  ["within a large payload of a held call", "purger.reseal", 2, "whole"],
  ["before it counts", "countPart", 0, "whole"],
  ["before its record", "appendWith", 0, "whole"],
  ["after its record", "purger.forget", 0, "gone"],
  ["before the intake is renewed", "renewIntake", 0, "gone"],
  ["before the WAL is emptied", "purger.truncateWal", 0, "gone"],
  ["before its pieces are deleted", "purger.cleanPieces", 0, "gone"],
  ["before its blocks are deleted", "purger.cleanBlocks", 0, "gone"],
  ["while its blocks are deleted", "purger.cleanBlocks", 1, "gone"],
] as const)("killed %s, it is finished at the next start, with one record", { timeout: 60_000 }, async (...row) => {
  const [, at, after, then] = row;
  expect(await purgeAndDie(at, after)).toBe("SIGKILL");
  await world.open();
  expect(world.store.recovered).toMatchObject({ calls: 0, sessions: 0 });
  expect(await world.purges()).toHaveLength(then === "gone" ? 1 : 0);
  if (at === "purger.reseal" && after > 0) expect(world.rows("SELECT * FROM resealed")).not.toEqual([]);
  await checkHeld();
  const state = then === "gone" ? "purged" : "complete";
  for (const call of others) expect(await world.states(call)).toEqual([`request ${state}`, `delivered ${state}`]);
  if (then === "gone") {
    await expect(world.payload(others[0] as CallId, "request")).rejects.toMatchObject({ code: "purged" });
  }

  await world.retention.purge(SCHEDULE, NEVER);
  await world.retention.purge(SCHEDULE, NEVER);
  expect(await world.purges()).toMatchObject([{ class: "default", count: 2 * others.length }]);
  await checkHeld();
  for (const call of others) expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
  for (const table of ["doomed", "resealed"]) expect(world.rows(`SELECT * FROM ${table}`)).toEqual([]);
  const pieces = world.rows("SELECT DISTINCT block FROM pieces ORDER BY block");
  expect(world.rows("SELECT block FROM vault ORDER BY block")).toEqual(pieces);
  expect(world.rows("SELECT DISTINCT key FROM vault")).toEqual(world.rows("SELECT key FROM vault_keys"));
  expect(world.rows("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
});
