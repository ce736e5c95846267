import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CallId, newCallId, type StoredRecord } from "@hoopish/protocol";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ALL_CALLS } from "../../evidence/all-calls.ts";
import { answeredDraft, decidedDraft } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";
import { verifyStore } from "./verify/verify-store.ts";

/** Somebody sets the clock, back and forth, while the log is written. */

const HOUR = 3_600_000;
const START = 1_795_420_800_000;
/** What the clock says during each stretch: on it goes, an hour back, a day ahead, back to where it was. */
const STRETCHES = [0, HOUR, -HOUR, -HOUR + 5, 24 * HOUR, 2 * HOUR, -26 * HOUR, 3 * HOUR];
/** With two records each: more than a block of times (4096 records) in all, cut in the middle of stretches. */
const CALLS_EACH = 700;

let folder: string;
let path: string;
let store: SqliteStore;
let now = START;
const calls: { readonly call: CallId; readonly timeMs: number }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-clock-"));
  path = join(folder, "hoopish.db");
  store = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1", clock: () => now });
  for (const offset of STRETCHES) {
    now = START + offset;
    const stretch = Array.from({ length: CALLS_EACH }, async () => {
      const call = newCallId();
      calls.push({ call, timeMs: now });
      await store.log.append([decidedDraft({ call }), answeredDraft({ call })]);
    });
    await Promise.all(stretch);
  }
}, 60_000);
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function exported(sinceMs: number, untilMs: number): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for await (const batch of store.reader.export({ sinceMs, untilMs }, false))
    for (const item of batch) if (item.kind === "record") records.push(JSON.parse(item.leaf) as StoredRecord);
  return records;
}

async function listed(sinceMs: number, untilMs: number, user?: string): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.reader.calls({ ...ALL_CALLS, sinceMs, untilMs, user }, 500, cursor);
    found.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

const within = (sinceMs: number, untilMs: number): string[] =>
  calls.filter(({ timeMs }) => timeMs >= sinceMs && timeMs < untilMs).map(({ call }) => call);

const RANGES = [
  [START - 30 * HOUR, START + 30 * HOUR],
  [START - HOUR, START - HOUR + 1],
  [START - HOUR, START],
  [START, START + HOUR],
  [START + HOUR, START + 24 * HOUR],
  [START + 24 * HOUR, START + 25 * HOUR],
  [START - 27 * HOUR, START - 2 * HOUR],
  [START + 3 * HOUR, START + 4 * HOUR],
  [START + 4 * HOUR, START + 5 * HOUR],
] as const;

describe("a clock that is set", () => {
  test("changes nothing about the records' order, their numbers and their ids", async () => {
    const records = await exported(0, 8e15);
    expect(records.map(({ src }) => src.n)).toEqual(records.map((_, n) => n));
    expect(records.map(({ call }) => call)).toEqual(calls.flatMap(({ call }) => [call, call]));
    const ids = records.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(ids.toSorted());
    // Each record says what the clock said.
    expect(records.map(({ time }) => Date.parse(time))).toEqual(calls.flatMap(({ timeMs }) => [timeMs, timeMs]));
  });

  test.each(RANGES)("loses no record and no call to a search from %i to %i", async (since, until) => {
    const expected = within(since, until);
    expect((await listed(since, until)).reverse()).toEqual(expected);
    expect((await listed(since, until, "scientist@bank.example")).reverse()).toEqual(expected);
    const found = await exported(since, until);
    expect(found.filter(({ type }) => type === "call.decided").map(({ call }) => call)).toEqual(expected);
    expect(found).toHaveLength(2 * expected.length);
  });

  test("keeps nothing from being signed, within a second or two", { timeout: 20_000 }, async () => {
    for (const offset of [48 * HOUR, -48 * HOUR]) {
      now = START + offset;
      const call = newCallId();
      calls.push({ call, timeMs: now });
      await store.log.append([decidedDraft({ call }), answeredDraft({ call })]);
      await vi.waitFor(() => expect(store.tree.newest().size).toBe(2 * calls.length), { timeout: 5_000, interval: 50 });
    }
    expect(verifyStore({ path, keys: TEST_KEYS }).findings).toEqual([]);
  });
});

test("an export since a time leaves nothing out that was recorded before the clock was set back", {
  timeout: 20_000,
}, async () => {
  // Checkpoints are signed by the machine's own clock; the log's is ahead for a while, as the machine's may have been.
  const at = join(folder, "since.db");
  let ahead = 0;
  const log = await openSqliteStore({ path: at, keys: TEST_KEYS, replica: "gw-1", clock: () => Date.now() + ahead });
  try {
    const note = (reason: string): Promise<number> => log.log.append([{ type: "server.stopped", reason }]);
    for (let i = 0; i < 10; i++) await note("before");
    const before = await log.tree.sign();
    ahead = 2 * HOUR;
    const deed = await note("the deed");
    ahead = 0;
    await note("after");
    const after = await log.tree.sign();
    expect(after.size).toBe(deed + 2);
    const since = Date.now() + HOUR;
    expect((await log.tree.signedBefore(since))?.size).toBe(before.size);
    expect((await log.tree.signedBefore(since + 2 * HOUR))?.size).toBe(after.size);
    expect((await log.tree.signedBefore(before.timeMs - HOUR))?.size).toBeUndefined();
    // As if nothing had happened, where nothing has.
    expect((await log.tree.signedBefore(before.timeMs))?.size).toBeLessThanOrEqual(before.size);
  } finally {
    await log.close();
  }
});
