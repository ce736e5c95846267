import { DatabaseSync } from "node:sqlite";
import { type HoldView, newSessionId } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { actorNamed } from "../../../evidence/sample-records.ts";
import { NEVER, RetentionWorld, SCHEDULE } from "../testing/retention-world.ts";

let world: RetentionWorld;
beforeEach(async () => {
  world = new RetentionWorld();
  await world.open();
});
afterEach(() => world.close());

const AUDITOR = { by: "audit@bank.example", actor: actorNamed("audit@bank.example") };
const purge = (): ReturnType<RetentionWorld["retention"]["purge"]> => world.retention.purge(SCHEDULE, NEVER);
const place = (filters: object): Promise<HoldView> =>
  world.store.retention.place({ reason: "a dispute", filters }, AUDITOR);

describe("a hold", () => {
  test("keeps the calls that it fits from a purge, and they go after its release", async () => {
    const held = [
      await world.call({ user: "eve@bank.example" }, "eve's question"),
      await world.call({ user: "eve@bank.example" }),
    ];
    const other = await world.call();
    const hold = await place({ user: "eve@bank.example" });
    world.at("2026-06-01T00:00:00.000Z");
    expect((await world.retention.plan()).months).toEqual([
      {
        class: "default",
        from: "2026-01-01T00:00:00.000Z",
        to: "2026-02-01T00:00:00.000Z",
        destroyed: { calls: 1, payloads: 2, bytes: 19 },
        held: { calls: 2, payloads: 4, bytes: 42 },
        holds: [hold.id],
        running: 0,
      },
    ]);
    const keys = world.rows<{ key: number }>("SELECT key FROM vault_keys");
    expect((await purge()).map(({ count }) => count)).toEqual([2]);
    // Under a key of their own: the one that sealed them with the others is gone.
    const after = world.rows<{ key: number }>("SELECT key FROM vault_keys");
    expect(after).toHaveLength(1);
    expect(keys).not.toContainEqual(after[0]);
    expect(await world.states(other)).toEqual(["request purged", "delivered purged"]);
    for (const call of held) {
      expect(await world.states(call)).toEqual(["request complete", "delivered complete"]);
      expect((await world.store.reader.call(call))?.holds).toEqual([hold.id]);
    }
    expect((await world.payload(held[0] as never, "request")).toString()).toBe("eve's question");

    // Nothing is left to do as long as it stands: no record, no new key.
    expect(await purge()).toEqual([]);
    expect(world.rows("SELECT key FROM vault_keys")).toEqual(after);
    await world.store.close();
    await world.open();
    expect(await purge()).toEqual([]);
    await world.store.retention.release(hold.id, "settled", AUDITOR);
    expect((await purge()).map(({ count }) => count)).toEqual([4]);
    for (const call of held) expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
    const told = (await world.records()).filter(({ type }) => type.startsWith("retention."));
    expect(told).toMatchObject([
      { type: "retention.held", hold: hold.id, by: "audit@bank.example", filters: { user: "eve@bank.example" } },
      { type: "retention.purged", count: 2 },
      { type: "retention.released", hold: hold.id, reason: "settled", by: "audit@bank.example" },
      { type: "retention.purged", count: 4 },
    ]);
  });

  test("fits by user, connection, session, call and time, all that it names together", async () => {
    const session = newSessionId();
    const calls = {
      plain: await world.call(),
      user: await world.call({ user: "eve@bank.example" }),
      both: await world.call({ user: "eve@bank.example", connection: "model-y" }),
      session: await world.call({ session }),
      late: "",
      call: await world.call(),
    };
    world.at("2026-01-20T00:00:00.000Z");
    calls.late = await world.call();
    world.at("2026-06-01T00:00:00.000Z");
    const kept = async (filters: object): Promise<string[]> => {
      const hold = await place(filters);
      const names = [];
      for (const [name, call] of Object.entries(calls)) {
        const story = await world.store.reader.call(call as never);
        if (story?.holds?.includes(hold.id)) names.push(name);
      }
      const plan = (await world.retention.plan()).months[0];
      expect(plan?.held.calls).toBe(names.length);
      await world.store.retention.release(hold.id, "tried", AUDITOR);
      return names;
    };
    expect(await kept({ user: "eve@bank.example" })).toEqual(["user", "both"]);
    expect(await kept({ user: "eve@bank.example", connection: "model-y" })).toEqual(["both"]);
    expect(await kept({ user: "nobody@bank.example" })).toEqual([]);
    expect(await kept({ session })).toEqual(["session"]);
    expect(await kept({ call: calls.call })).toEqual(["call"]);
    expect(await kept({ since: "2026-01-16T00:00:00.000Z" })).toEqual(["late"]);
    expect(await kept({ until: "2026-01-16T00:00:00.000Z", connection: "model-y" })).toEqual(["both"]);
  });

  test("that still stands keeps its calls when another is released, whatever was moved before", async () => {
    const both = await world.call({ user: "eve@bank.example", connection: "model-y" }, "both");
    const one = await world.call({ user: "eve@bank.example" }, "one");
    await world.call();
    const byUser = await place({ user: "eve@bank.example" });
    await place({ connection: "model-y" });
    world.at("2026-06-01T00:00:00.000Z");
    expect((await purge()).map(({ count }) => count)).toEqual([2]);
    await world.store.retention.release(byUser.id, "settled", AUDITOR);
    expect((await purge()).map(({ count }) => count)).toEqual([2]);
    expect(await world.states(one)).toEqual(["request purged", "delivered purged"]);
    expect((await world.payload(both, "request")).toString()).toBe("both");
    expect((await world.store.reader.call(both))?.payloads[0]?.state).toBe("complete");
  });

  test("of everything in a month leaves the month as it is", async () => {
    await world.call();
    await place({ since: "2026-01-01T00:00:00.000Z" });
    world.at("2026-06-01T00:00:00.000Z");
    const before = world.rows("SELECT key FROM vault_keys");
    expect(await purge()).toEqual([]);
    expect(world.rows("SELECT key FROM vault_keys")).toEqual(before);
    expect(await world.purges()).toEqual([]);
  });

  test("of payloads larger than a step keeps every byte of them, beside small ones", async () => {
    const texts = new Map<string, string>();
    for (let i = 0; i < 12; i++) {
      const text = i % 4 === 1 ? `${i} `.repeat(1_500_000) : i % 4 === 2 ? "" : `question ${i}`;
      const user = i % 3 === 2 ? "other@bank.example" : "eve@bank.example";
      const call = await world.call({ user }, text, text.slice(0, 700_000));
      if (user === "eve@bank.example") texts.set(call, text);
    }
    await place({ user: "eve@bank.example" });
    world.at("2026-06-01T00:00:00.000Z");
    expect((await purge()).map(({ count }) => count)).toEqual([8]);
    for (const [call, text] of texts) {
      expect((await world.payload(call as never, "request")).toString() === text).toBe(true);
      expect((await world.payload(call as never, "delivered")).toString() === text.slice(0, 700_000)).toBe(true);
      expect(await world.states(call as never)).toEqual(["request complete", "delivered complete"]);
    }
    expect(world.rows("SELECT * FROM resealed")).toEqual([]);
    const pieces = world.rows("SELECT DISTINCT block FROM pieces ORDER BY block");
    expect(world.rows("SELECT block FROM vault ORDER BY block")).toEqual(pieces);
  });

  test("that is placed while a purge works is whole: kept, or too late for all of it", async () => {
    for (let round = 0; round < 3; round++) {
      world.at("2026-01-15T12:00:00.000Z");
      const calls = [];
      for (let i = 0; i < 40; i++) calls.push(await world.call({ user: `eve${round}@bank.example` }));
      world.at("2026-06-01T00:00:00.000Z");
      const before = (await world.records()).length;
      const purging = purge();
      await new Promise((resolve) => setTimeout(resolve, round * 15));
      await place({ user: `eve${round}@bank.example` });
      await purging;
      const states = new Set((await Promise.all(calls.map((call) => world.states(call)))).map((all) => all.join()));
      const types = (await world.records()).slice(before).map(({ type }) => type);
      const tooLate = types.includes("retention.purged") && types.at(-1) === "retention.held";
      expect([...states]).toEqual([
        tooLate ? "request purged,delivered purged" : "request complete,delivered complete",
      ]);
    }
  });

  test.each([
    ["taken away", "DELETE FROM holds"],
    ["released", "UPDATE holds SET released_at = 1, released_by = 'x', released_reason = 'x'"],
    ["narrowed", `UPDATE holds SET filters = '{"user":"nobody"}'`],
  ])("that is %s with the sqlite shell is missed at the next start, before anything can be purged", async (_, sql) => {
    await world.call();
    await place({ user: "eve@bank.example" });
    await world.store.close();
    const db = new DatabaseSync(world.path);
    db.exec(sql);
    db.close();
    await expect(world.open()).rejects.toMatchObject({ message: expect.stringContaining("holds are not as") });
    await world.forget();
  });

  test("is released once; one that is not there cannot be", async () => {
    const hold = await place({ user: "eve@bank.example" });
    const both = await Promise.allSettled([
      world.store.retention.release(hold.id, "first", AUDITOR),
      world.store.retention.release(hold.id, "second", AUDITOR),
    ]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((both[1] as PromiseRejectedResult).reason).toMatchObject({ code: "conflict" });
    const unknown = `hold_${"0".repeat(32)}` as never;
    await expect(world.store.retention.release(unknown, "x", AUDITOR)).rejects.toMatchObject({ code: "not_found" });
    expect(world.store.log.writable).toBe(true);
    expect((await world.records()).map(({ type }) => type)).toEqual(["retention.held", "retention.released"]);
    expect(await world.store.retention.holds("active")).toEqual([]);
    expect(await world.store.retention.holds("all")).toMatchObject([
      { id: hold.id, reason: "a dispute", released: { by: "audit@bank.example", reason: "first" } },
    ]);
  });
});
