import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  type CallId,
  newCallId,
  newSessionId,
  type RecordDraft,
  type RecordType,
  type SessionId,
} from "@hoopish/protocol";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FoundRecord, RecordFilter } from "../../../evidence/port.ts";
import { actorNamed, answeredDraft, closeDraft, decidedDraft, sessionDraft } from "../../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "../store.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { REACH } from "./ended-calls.ts";

/** What the store finds by its indexes must be what is found by looking at every record. */

const START = 1_795_420_800_000;
const USERS = ["ada", "bob", "eve", "O'Neil; DROP TABLE events"];
const CONNECTIONS = ["model-x", "model-y"];
const NO_FILTER: RecordFilter = {
  types: undefined,
  user: undefined,
  connection: undefined,
  session: undefined,
  call: undefined,
  sinceMs: undefined,
  untilMs: undefined,
};

let folder: string;
let store: SqliteStore;
let nowMs = START;
const all: { readonly index: number; readonly leaf: string; readonly record: Record<string, unknown> }[] = [];
const sessions = Array.from({ length: 90 }, (_, i) => ({
  id: newSessionId(),
  user: i < 30 ? (USERS[i % 4] as string) : `user-${i}`,
  connection: CONNECTIONS[i % 2] as string,
}));
const calls: CallId[] = [];

const open = (): Promise<SqliteStore> =>
  openSqliteStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS, replica: "gw-1", clock: () => nowMs });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-search-"));
  store = await open();
  await store.log.append(sessions.map(({ id, user }) => sessionDraft(id, user)));
  const appends: Promise<number>[] = [];
  const late: RecordDraft[] = [];
  for (let i = 0; i < 7_000; i++) {
    // The clock goes on, stands still, and is set back an hour twice.
    nowMs += i % 3 === 0 ? 0 : 7;
    if (i === 2_500 || i === 5_500) nowMs -= 3_600_000;
    const session = sessions[(i * 7) % sessions.length] as (typeof sessions)[number];
    const call = newCallId();
    calls.push(call);
    const of = { call, session: session.id, user: session.user, connection: session.connection };
    appends.push(store.log.append([decidedDraft({ ...of, verdict: i % 500 === 3 ? "block" : "allow" })]));
    // Some end at once, some much later, some not at all.
    if (i % 11 === 5) late.push(answeredDraft(of));
    else if (i % 10 !== 0) appends.push(store.log.append([answeredDraft(of)]));
    if (i % 97 === 0) {
      const actor = actorNamed(USERS[i % 4] as string);
      appends.push(store.log.append([{ type: "audit.searched", actor, query: { call }, results: 1 }]));
    }
    if (i % 301 === 0)
      appends.push(store.log.append([{ type: "audit.replayed", session: session.id, call, of: call }]));
    if (i % 1_000 === 999) appends.push(store.log.append([{ type: "agent.refused", name: "edge", reason: "no" }]));
    if (i % 2_800 === 2_799) for (const draft of late.splice(0).reverse()) appends.push(store.log.append([draft]));
  }
  await Promise.all(appends);
  await store.log.append(sessions.slice(0, 40).map(({ id, user }) => closeDraft(id, user)));
  // What is open is ended as interrupted by the next start.
  await store.close();
  store = await open();
  await store.log.append([{ type: "server.started", version: "1", config: "c" }]);
  await store.tree.sign();
  const { size } = store.tree.newest();
  for await (const batch of store.reader.records(0, size)) {
    for (const { index, leaf } of batch) {
      const text = Buffer.from(leaf).toString();
      all.push({ index, leaf: text, record: JSON.parse(text) as Record<string, unknown> });
    }
  }
}, 120_000);
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function expected(filter: RecordFilter): FoundRecord[] {
  const fits = ({ record }: (typeof all)[number]): boolean => {
    const timeMs = Date.parse(String(record.time));
    return (
      (filter.types === undefined || filter.types.includes(record.type as RecordType)) &&
      (filter.user === undefined || (record.actor as { name?: string } | undefined)?.name === filter.user) &&
      (filter.connection === undefined || record.connection === filter.connection) &&
      (filter.session === undefined || record.session === filter.session) &&
      (filter.call === undefined || record.call === filter.call) &&
      (filter.sinceMs === undefined || timeMs >= filter.sinceMs) &&
      (filter.untilMs === undefined || timeMs < filter.untilMs)
    );
  };
  return all
    .filter(fits)
    .map(({ index, leaf }) => ({ index, leaf }))
    .reverse();
}

async function found(filter: RecordFilter, limit: number, most = Number.POSITIVE_INFINITY): Promise<FoundRecord[]> {
  const items: FoundRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.reader.search(filter, limit, cursor);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && items.length < most);
  return items;
}

const TYPES: readonly RecordType[] = [
  "call.decided",
  "call.answered",
  "call.interrupted",
  "session.open",
  "session.close",
  "audit.searched",
  "audit.replayed",
  "agent.refused",
  "server.recovered",
  "lost" as RecordType,
];
/** Mostly not given: members that are all given fit nothing. */
const rarely = <T>(value: fc.Arbitrary<T>, share: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: value, weight: share }, { arbitrary: fc.constant(undefined), weight: 10 - share });
const times = fc.integer({ min: START - 3_700_000, max: START + 40_000 });
const filters: fc.Arbitrary<RecordFilter> = fc.record({
  types: rarely(fc.uniqueArray(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 4 }), 6),
  user: rarely(fc.constantFrom(...USERS, "user-31", "user-77", "nobody"), 4),
  connection: rarely(fc.constantFrom(...CONNECTIONS, "none"), 3),
  session: rarely(
    fc.nat(sessions.length - 1).map((i) => (sessions[i] as { id: SessionId }).id),
    2,
  ),
  call: rarely(
    fc.nat(6_999).map((i) => calls[i] as CallId),
    1,
  ),
  sinceMs: rarely(times, 3),
  untilMs: rarely(times, 3),
});

describe("search", () => {
  test("the log has what makes it hard: ends far from their decisions, and ends by a crash", () => {
    const ends = new Map(
      all.filter(({ record }) => record.type === "call.answered").map((one) => [one.record.call, one.index]),
    );
    const spans = all.flatMap(({ index, record }) => {
      const end = record.type === "call.decided" ? ends.get(record.call) : undefined;
      return end === undefined ? [] : [end - index];
    });
    expect(spans.filter((span) => span > REACH).length).toBeGreaterThan(10);
    expect(spans.filter((span) => span > 100 && span <= REACH).length).toBeGreaterThan(100);
    expect(all.filter(({ record }) => record.type === "call.interrupted").length).toBeGreaterThan(500);
  });

  test("finds what is there, newest first, page by page, whatever is asked for", async () => {
    await fc.assert(
      fc.asyncProperty(filters, fc.constantFrom(1, 7, 50, 1_000), async (filter, limit) => {
        // A page of one, for all of the log, would take the day.
        const most = limit * 12;
        const want = expected(filter);
        const got = await found(filter, limit, most);
        expect(got.map(({ index }) => index)).toEqual(want.slice(0, got.length).map(({ index }) => index));
        if (got.length < most) expect(got).toHaveLength(want.length);
      }),
      { numRuns: 250 },
    );
  }, 120_000);

  test.each<readonly [string, Partial<RecordFilter>]>([
    ["everything", {}],
    ["ends of calls", { types: ["call.answered"] }],
    ["ends of one user's calls", { types: ["call.answered"], user: "ada" }],
    ["calls that a crash ended", { types: ["call.interrupted"] }],
    ["everything of a user", { user: "bob" }],
    ["everything of a session", { session: (sessions[3] as { id: SessionId }).id }],
    ["ends in a session", { types: ["call.answered"], session: (sessions[3] as { id: SessionId }).id }],
  ])("finds all of it: %s", async (_, filter) => {
    const got = await found({ ...NO_FILTER, ...filter }, 1_000);
    expect(got).toEqual(expected({ ...NO_FILTER, ...filter }));
    expect(got.length).toBeGreaterThan(0);
  });

  test("tells the leaf's exact text, and nothing for a cursor that is none", async () => {
    const [first] = (await store.reader.search({ ...NO_FILTER, types: ["server.started"] }, 1, undefined)).items;
    expect(first).toEqual({ index: all.at(-1)?.index, leaf: all.at(-1)?.leaf });
    await expect(store.reader.search(NO_FILTER, 1, "1; DROP")).rejects.toMatchObject({ code: "bad_request" });
  });

  test("an older database, whose records no index of events knows, is indexed when it is opened", async () => {
    await store.close();
    const db = new DatabaseSync(join(folder, "hoopish.db"));
    db.exec(`DROP TABLE events; DROP TABLE event_series; DROP INDEX calls_late; DROP INDEX calls_late_by_session;
      DROP TABLE purges; DROP TABLE doomed; DROP TABLE resealed; DROP TABLE holds;
      DELETE FROM mentions; PRAGMA user_version = 1;`);
    db.close();
    store = await open();
    for (const filter of [{ user: "eve" }, { types: ["audit.replayed"] }, { types: ["call.answered"] }] as const) {
      expect(await found({ ...NO_FILTER, ...filter }, 1_000)).toEqual(expected({ ...NO_FILTER, ...filter }));
    }
    const call = calls[301] as CallId;
    expect(await found({ ...NO_FILTER, call }, 10)).toEqual(expected({ ...NO_FILTER, call }));
  });
});
