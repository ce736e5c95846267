import { createDecipheriv, createSecretKey } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { type CallId, newCallId, type StoredRecord } from "@hoopish/protocol";
import { Frontier, leafHash } from "@hoopish/protocol/tlog";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { exportJsonl } from "../../../evidence/export.ts";
import { Retention } from "../../../evidence/retention/retention.ts";
import { decidedDraft, wholePayload } from "../../../evidence/sample-records.ts";
import { decodeFrame, decodeHead, FRAME_HEAD_BYTES, HEAD_BYTES, segmentKey } from "../intake/format.ts";
import { openSqliteStore } from "../store.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { NEVER, PAYLOADS_MS, RetentionWorld, SCHEDULE } from "../testing/retention-world.ts";
import { openBlock } from "../vault/block.ts";
import { verifyStore } from "../verify/verify-store.ts";

let world: RetentionWorld;
beforeEach(async () => {
  world = new RetentionWorld();
  await world.open();
});
afterEach(() => world.close());

const purge = (): ReturnType<RetentionWorld["retention"]["purge"]> => world.retention.purge(SCHEDULE, NEVER);

function rootOf(texts: readonly string[]): string {
  const tree = new Frontier();
  for (const text of texts) tree.push(leafHash(Buffer.from(text)));
  return tree.root().toString("base64");
}

describe("a purge", () => {
  test("destroys a month when its last moment is older than its class's time, with one record that tells exactly what", async () => {
    const january = [await world.call(), await world.call({}, "another question")];
    const blocked = await world.call({ verdict: "block" });
    world.at("2026-02-01T00:00:00.000Z");
    const february = await world.call();

    world.at("2026-05-01T23:59:59.999Z");
    expect(await purge()).toEqual([]);
    world.at("2026-05-02T00:00:00.000Z");
    const [purged, ...more] = await purge();
    expect(more).toEqual([]);
    const texts = january.flatMap((call) => [`${call}/delivered`, `${call}/request`]);
    const facts = {
      class: "default",
      from: "2026-01-01T00:00:00.000Z",
      to: "2026-02-01T00:00:00.000Z",
      count: 4,
      root: rootOf(texts),
    };
    expect(purged).toEqual({ ...facts, record: 8 });
    const records = await world.records();
    expect(records[8]).toMatchObject({ type: "retention.purged", ...facts, by: "schedule" });
    expect(records).toHaveLength(9);
    for (const call of january) {
      expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
      expect((await world.store.reader.call(call))?.payloads[0]?.purges).toEqual([8]);
      await expect(world.payload(call, "request")).rejects.toMatchObject({ code: "purged" });
    }
    for (const call of [blocked, february])
      expect((await world.payload(call, "request")).toString()).toBe("a question");
    expect(await purge()).toEqual([]);

    world.at("2027-02-01T00:00:00.000Z");
    const later = await purge();
    expect(later.map((one) => [one.class, one.from.slice(0, 7), one.count])).toEqual([
      ["heldOrBlocked", "2026-01", 2],
      ["default", "2026-02", 2],
    ]);
    for (const table of ["vault", "vault_keys", "pieces", "doomed", "resealed"]) {
      expect(world.rows(`SELECT * FROM ${table}`)).toEqual([]);
    }
    const verdict = (): string[] =>
      verifyStore({ path: world.path, keys: TEST_KEYS }).findings.map(({ message }) => message);
    expect(verdict()).toEqual([]);
    const db = new DatabaseSync(world.path);
    db.exec("UPDATE purges SET month = month + 1 WHERE idx = 8");
    db.close();
    expect(verdict()).toEqual([expect.stringMatching(/^the purge 8 is shown as /)]);
  });

  test("records and proofs are as they were", async () => {
    for (let i = 0; i < 300; i++) await world.call({}, `question ${i}`);
    const before = await world.store.tree.sign();
    const records = await world.records();
    world.at("2026-06-01T00:00:00.000Z");
    await purge();
    const after = await world.store.tree.sign();
    expect((await world.records()).slice(0, records.length)).toEqual(records);
    expect(Buffer.from(await world.store.tree.root(before.size)).equals(before.root)).toBe(true);
    expect(after.size).toBe(before.size + 1);
    expect(await world.store.tree.consistency(before.size, after.size)).not.toEqual([]);
    await world.store.close();
    await world.open();
    expect(await world.records()).toHaveLength(601);
  });

  test("takes payload that comes late for a purged month, and destroys it the next time", async () => {
    await world.call();
    world.at("2026-06-01T00:00:00.000Z");
    await purge();
    world.at("2026-01-20T00:00:00.000Z");
    const late = await world.call({}, "late");
    expect((await world.payload(late, "request")).toString()).toBe("late");
    expect(await world.states(late)).toEqual(["request complete", "delivered complete"]);
    world.at("2026-06-02T00:00:00.000Z");
    expect((await purge()).map(({ count }) => count)).toEqual([2]);
    expect(await world.states(late)).toEqual(["request purged", "delivered purged"]);
    expect(await world.purges()).toHaveLength(2);
  });

  test("leaves a month alone of which a call still runs, and takes it when the call has ended", async () => {
    await world.call();
    const call = newCallId();
    const asked = wholePayload(call, "request", Buffer.from("still running"));
    await world.store.log.append([decidedDraft({ call }, [asked])], [asked.piece]);
    world.at("2026-06-01T00:00:00.000Z");
    expect((await world.retention.plan()).months).toMatchObject([{ running: 1, destroyed: { calls: 2 } }]);
    expect(await purge()).toEqual([]);
    await world.store.log.append([], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("half an ans") }]);
    await world.store.close();
    await world.open();
    expect(world.store.recovered.calls).toBe(1);
    expect((await purge()).map(({ count }) => count)).toEqual([4]);
    expect((await world.store.reader.call(call))?.payloads).toMatchObject([
      { field: "request", bytes: 13, state: "purged" },
      { field: "delivered", bytes: 11, state: "purged" },
    ]);
  });

  test("by a clock that was set back destroys nothing, and writes nothing", async () => {
    world.at("2026-06-10T00:00:00.000Z");
    const call = await world.call();
    world.at("2025-01-01T00:00:00.000Z");
    expect(await purge()).toEqual([]);
    expect(await world.records()).toHaveLength(2);
    // Of two months: the record's own time decides, not where it stands in the log.
    const early = await world.call();
    world.at("2026-07-01T00:00:00.000Z");
    expect((await purge()).map(({ from, count }) => [from.slice(0, 7), count])).toEqual([["2025-01", 2]]);
    expect(await world.states(early)).toEqual(["request purged", "delivered purged"]);
    expect(await world.states(call)).toEqual(["request complete", "delivered complete"]);
  });

  test("two at once and many readers: one record, and each reader sees a whole payload or hears that it is gone", async () => {
    const calls: CallId[] = [];
    for (let i = 0; i < 200; i++) calls.push(await world.call({}, `question ${i} ${"x".repeat(2_000)}`));
    world.at("2026-06-01T00:00:00.000Z");
    let reading = true;
    const seen = { whole: 0, gone: 0 };
    const readers = [0, 1, 2].map(async (lane) => {
      for (let i = lane; reading; i = (i + 3) % calls.length) {
        try {
          const bytes = await world.payload(calls[i] as CallId, "request");
          expect(bytes.toString()).toBe(`question ${i} ${"x".repeat(2_000)}`);
          seen.whole += 1;
        } catch (error) {
          expect(error).toMatchObject({ code: "purged" });
          seen.gone += 1;
        }
      }
    });
    const done = await Promise.all([purge(), purge()]);
    reading = false;
    await Promise.all(readers);
    expect(done.flat().map(({ count }) => count)).toEqual([400]);
    expect(await world.purges()).toHaveLength(1);
    expect(seen.whole).toBeGreaterThan(0);
    for (const call of calls) expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
  });

  test("whose keys another program keeps in the WAL says so, and is finished when it has gone", {
    timeout: 60_000,
  }, async () => {
    const call = await world.call();
    expect(await world.states(call)).toHaveLength(2);
    const [key] = world.rows<{ wrapped: Uint8Array }>("SELECT wrapped FROM vault_keys");
    const backup = new DatabaseSync(world.path, { readOnly: true });
    backup.exec("BEGIN; SELECT count(*) FROM records");
    world.at("2026-06-01T00:00:00.000Z");
    await expect(purge()).rejects.toMatchObject({ code: "conflict" });
    expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
    backup.exec("COMMIT");
    backup.close();
    expect(await purge()).toEqual([]);
    expect(await world.purges()).toHaveLength(1);
    expect(world.rows("SELECT * FROM doomed")).toEqual([]);
    const wrapped = Buffer.from(key?.wrapped ?? []);
    expect(world.files().filter(({ bytes }) => bytes.includes(wrapped))).toEqual([]);
  });

  test("of a store in memory", async () => {
    const now = (): number => world.nowMs;
    const store = await openSqliteStore({ path: ":memory:", keys: TEST_KEYS, replica: "gw-1", clock: now });
    const retention = new Retention({ store: store.retention, payloadsMs: PAYLOADS_MS, now });
    const file = world.store;
    world.store = store;
    const held = await world.call({ user: "eve@bank.example" });
    const other = await world.call();
    await store.retention.place({ reason: "a dispute", filters: { user: "eve@bank.example" } }, SCHEDULE);
    world.at("2026-06-01T00:00:00.000Z");
    expect((await retention.purge(SCHEDULE, NEVER)).map(({ count }) => count)).toEqual([2]);
    expect(await world.states(held)).toEqual(["request complete", "delivered complete"]);
    expect(await world.states(other)).toEqual(["request purged", "delivered purged"]);
    world.store = file;
    await store.close();
  });

  test("that is asked to stop does, between two steps; the next one does it all", async () => {
    await world.call();
    world.at("2026-06-01T00:00:00.000Z");
    const stopped = new AbortController();
    stopped.abort();
    await expect(world.retention.purge(SCHEDULE, stopped.signal)).rejects.toThrow();
    expect(await world.purges()).toEqual([]);
    expect(await purge()).toHaveLength(1);
  });
});

describe("what is left on the disk", () => {
  const SECRET = "the applicant's secret 4711";
  interface KeyRow {
    readonly key: number;
    readonly retention: number;
    readonly month: number;
    readonly wrapped: Uint8Array;
  }
  const unwrap = ({ retention, month, wrapped }: KeyRow): Buffer => {
    const bytes = Buffer.from(wrapped);
    const decipher = createDecipheriv("aes-256-gcm", TEST_KEYS.vault, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(`hoopish vault ${retention} ${month}`));
    decipher.setAuthTag(bytes.subarray(bytes.length - 16));
    return Buffer.concat([decipher.update(bytes.subarray(12, bytes.length - 16)), decipher.final()]);
  };
  const blocksOf = (): { block: number; key: number; bytes: Uint8Array }[] =>
    world.rows("SELECT block, key, bytes FROM vault");
  /** Everything that the intake's files give to whoever has the vault's key. */
  const intakeText = (): string =>
    world
      .files()
      .filter(({ name }) => name.includes("-intake-"))
      .map(({ bytes }) => {
        const head = decodeHead(bytes.subarray(0, HEAD_BYTES), TEST_KEYS.vault);
        if (head === undefined) return "";
        const key = segmentKey(TEST_KEYS.vault, head);
        let text = "";
        for (let at = HEAD_BYTES; at + FRAME_HEAD_BYTES < bytes.length; at += 16) {
          text += decodeFrame(bytes, at, key)?.plain.toString("latin1") ?? "";
        }
        return text;
      })
      .join("");

  test("opens no block of before, to whoever has copies of them and the vault's key", async () => {
    await world.call({}, SECRET);
    await world.call({ verdict: "block" }, "kept");
    expect(await world.states(await world.call())).toHaveLength(2);
    const blocks = blocksOf();
    const keys = world.rows<KeyRow>("SELECT * FROM vault_keys");
    const openedBy = (rows: readonly KeyRow[]): string[] =>
      blocks.flatMap((block) =>
        rows.flatMap((row) => {
          try {
            return [
              openBlock(block.bytes, { block: block.block, key: row.key }, createSecretKey(unwrap(row))).toString(
                "latin1",
              ),
            ];
          } catch {
            return [];
          }
        }),
      );
    // The attack works as long as the key is there.
    expect(openedBy(keys).join()).toContain(SECRET);
    expect(intakeText()).toContain(SECRET);
    const gone = keys.filter(({ retention }) => retention === 0);
    expect(gone).toHaveLength(1);
    const somewhere = (bytes: Uint8Array): string[] =>
      world.files().flatMap((file) => (file.bytes.includes(Buffer.from(bytes)) ? [file.name] : []));
    for (const row of gone) expect(somewhere(row.wrapped)).not.toEqual([]);

    world.at("2026-06-01T00:00:00.000Z");
    await purge();
    for (const row of gone) expect(somewhere(row.wrapped)).toEqual([]);
    for (const row of keys) expect(somewhere(unwrap(row))).toEqual([]);
    expect(openedBy(world.rows<KeyRow>("SELECT * FROM vault_keys")).join()).not.toContain(SECRET);
    expect(intakeText()).not.toContain(SECRET);
    expect(somewhere(Buffer.from(SECRET))).toEqual([]);
    await world.store.close();
    for (const row of gone) expect(somewhere(row.wrapped)).toEqual([]);
    await world.open();
    expect((await world.records()).at(-1)?.type).toBe("retention.purged");
  });

  test("names no destroyed key, however many there were", async () => {
    const wrapped = new Set<string>();
    const start = Date.parse("2015-01-15T00:00:00.000Z");
    // More keys than fit on one page of the database.
    for (let month = 0; month < 130; month++) {
      world.nowMs = Date.UTC(2015, month, 15);
      await world.call();
      await world.call({ verdict: "block" });
    }
    expect(world.nowMs).toBeGreaterThan(start);
    await world.store.reader.call(newCallId());
    for (const row of world.rows<KeyRow>("SELECT * FROM vault_keys"))
      wrapped.add(Buffer.from(row.wrapped).toString("hex"));
    expect(wrapped.size).toBe(260);
    await purge();
    const left = new Set(
      world.rows<KeyRow>("SELECT * FROM vault_keys").map((row) => Buffer.from(row.wrapped).toString("hex")),
    );
    expect(left.size).toBeLessThan(30);
    const files = world.files();
    const found = [...wrapped].filter((hex) => files.some(({ bytes }) => bytes.includes(Buffer.from(hex, "hex"))));
    expect(new Set(found)).toEqual(left);
  });
});

describe("an export", () => {
  const EVER = { sinceMs: 0, untilMs: 8e15 };

  test("says of each body what became of it", async () => {
    const old = await world.call();
    world.at("2026-06-01T00:00:00.000Z");
    const young = await world.call();
    await purge();
    let text = "";
    for await (const chunk of exportJsonl(world.store.reader.export(EVER, true))) text += chunk;
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
    const told = lines.map((line) => line.gone ?? line.payload ?? (line.record as unknown as StoredRecord).type);
    expect(told).toEqual([
      "call.decided",
      { call: old, field: "request", bytes: 10, state: "purged", purges: [4] },
      "call.answered",
      { call: old, field: "delivered", bytes: 9, state: "purged", purges: [4] },
      "call.decided",
      expect.objectContaining({ call: young, field: "request", data: "a question" }),
      "call.answered",
      expect.objectContaining({ call: young, field: "delivered", data: "an answer" }),
      "retention.purged",
    ]);
  });

  test("that is under way when its payload is destroyed ends the line and says so", async () => {
    const call = await world.call({}, "x".repeat(3_000_000));
    world.at("2026-06-01T00:00:00.000Z");
    let text = "";
    let items = 0;
    for await (const chunk of exportJsonl(world.store.reader.export(EVER, true))) {
      text += chunk;
      items += 1;
      if (items === 2) await purge();
    }
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
    const cut = lines[1]?.payload as { data: string; gone: string; bytes: number };
    expect(cut).toMatchObject({ call, field: "request", bytes: 3_000_000, gone: "purged" });
    expect(cut.data.length).toBeGreaterThan(0);
    expect(cut.data.length).toBeLessThan(3_000_000);
    expect(lines[3]).toMatchObject({ gone: { call, field: "delivered", state: "purged" } });
    expect(lines).toHaveLength(4);
  });

  test("that is under way when a hold puts its payload elsewhere goes on where it was", async () => {
    const whole = Buffer.alloc(3_000_000, "0123456789abcdef-").toString();
    const held = await world.call({ user: "held@bank.example" }, whole);
    await world.call();
    await world.store.retention.place({ reason: "a dispute", filters: { call: held } }, SCHEDULE);
    world.at("2026-06-01T00:00:00.000Z");
    const blocks = (): number[] =>
      world.rows<{ block: number }>("SELECT block FROM pieces ORDER BY block").map(({ block }) => block);
    const before = blocks();
    let text = "";
    let items = 0;
    const pieces = world.store.reader.payload(held, "request")[Symbol.asyncIterator]();
    const read: Uint8Array[] = [(await pieces.next()).value as Uint8Array];
    for await (const chunk of exportJsonl(world.store.reader.export(EVER, true))) {
      text += chunk;
      items += 1;
      if (items === 2) expect((await purge()).map(({ count }) => count)).toEqual([2]);
    }
    expect(blocks().filter((block) => before.includes(block))).toEqual([]);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) read.push(next.value);
    expect(Buffer.concat(read).toString()).toBe(whole);
    const line = JSON.parse(text.split("\n")[1] ?? "") as { payload: { data: string; gone?: string } };
    expect(line.payload.gone).toBeUndefined();
    expect(line.payload.data === whole).toBe(true);
  });
});
