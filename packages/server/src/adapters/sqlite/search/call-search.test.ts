import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { newCallId, newSessionId, type SessionId } from "@hoopish/protocol";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ALL_CALLS } from "../../../evidence/all-calls.ts";
import type { CallFilter } from "../../../evidence/port.ts";
import { answeredDraft, closeDraft, decidedDraft, sessionDraft } from "../../../evidence/sample-records.ts";
import { Query } from "../query.ts";
import { openSqliteStore, type SqliteStore } from "../store.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { findCalls } from "./call-search.ts";

/** Found by looking at every call: what the store must find by its indexes. */
interface Written {
  readonly id: string;
  readonly user: string;
  readonly connection: string;
  readonly session: SessionId;
  readonly verdict: "allow" | "hold" | "block";
  readonly timeMs: number;
}

const USERS = ["ada", "bob", "eve", "O'Neil; DROP TABLE calls"];
const CONNECTIONS = ["model-x", "model-y", "model-z"];
const START = 1_795_420_800_000;
const CALLS = 9_000;

describe("lists", () => {
  let folder: string;
  let store: SqliteStore;
  let nowMs = START;
  const written: Written[] = [];
  // Enough users that some filters pick a hundred series and more, and others a few.
  const sessions = Array.from({ length: 400 }, (_, i) => ({
    id: newSessionId(),
    user: i < 60 ? (USERS[i % USERS.length] as string) : `user-${i}`,
    connection: CONNECTIONS[i % CONNECTIONS.length] as string,
  }));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hoopish-search-"));
    store = await openSqliteStore({
      path: join(folder, "hoopish.db"),
      keys: TEST_KEYS,
      replica: "gw-1",
      clock: () => nowMs,
    });
    await store.log.append(sessions.map(({ id, user }) => sessionDraft(id, user)));
    const appends: Promise<number>[] = [];
    for (let i = 0; i < CALLS; i++) {
      // The clock goes on, stands still, and is set back an hour twice.
      nowMs += i % 3 === 0 ? 0 : 7;
      if (i === 3_000 || i === 7_000) nowMs -= 3_600_000;
      const session = sessions[(i * 7) % sessions.length] as (typeof sessions)[number];
      const verdict = i % 1_500 === 1_499 ? "block" : i % 400 === 0 ? "hold" : "allow";
      const call = newCallId();
      const of = { call, session: session.id, user: session.user, connection: session.connection, verdict } as const;
      written.push({ ...of, id: call, session: session.id, timeMs: nowMs });
      appends.push(store.log.append([decidedDraft(of)]));
      if (i % 10 !== 0) appends.push(store.log.append([answeredDraft(of)]));
    }
    await Promise.all(appends);
  });
  afterAll(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const expected = (filter: CallFilter): string[] =>
    written
      .filter(
        (call) =>
          (filter.user === undefined || call.user === filter.user) &&
          (filter.connection === undefined || call.connection === filter.connection) &&
          (filter.session === undefined || call.session === filter.session) &&
          (filter.verdict === undefined || call.verdict === filter.verdict) &&
          (filter.sinceMs === undefined || call.timeMs >= filter.sinceMs) &&
          (filter.untilMs === undefined || call.timeMs < filter.untilMs),
      )
      .map(({ id }) => id)
      .reverse();

  const optional = <T>(values: readonly T[]) => fc.constantFrom<(T | undefined)[]>(undefined, undefined, ...values);
  const times = fc.option(fc.integer({ min: START - 3_700_000, max: START + 60_000 }), { nil: undefined, freq: 2 });
  const filters: fc.Arbitrary<CallFilter> = fc.record({
    user: optional([...USERS, "nobody"]),
    connection: optional([...CONNECTIONS, "none"]),
    session: optional([...sessions.slice(0, 5).map(({ id }) => id), newSessionId()]),
    verdict: optional(["allow", "hold", "block"] as const),
    sinceMs: times,
    untilMs: times,
  });

  test("a page is the newest calls that fit, for any filter and any cursor", async () => {
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 60 }), fc.nat(200), async (filter, limit, skip) => {
        const all = expected(filter);
        const start = all.length === 0 ? 0 : skip % all.length;
        const cursor = start === 0 ? undefined : (await store.reader.calls(filter, start, undefined)).next;
        const page = await store.reader.calls(filter, limit, cursor);
        expect(page.items.map(({ id }) => id)).toEqual(all.slice(start, start + limit));
        expect(page.next !== undefined).toBe(start + limit < all.length);
      }),
      { numRuns: 150 },
    );
  });

  test("it finds the same whether it looks through the newest calls first or not", () => {
    const db = new DatabaseSync(join(folder, "hoopish.db"), { readOnly: true });
    const query = new Query(db);
    fc.assert(
      fc.property(filters, fc.integer({ min: 1, max: 200 }), fc.nat(25_000), (filter, count, before) => {
        const by = (manySeries: number): readonly number[] => findCalls(query, filter, count, before, manySeries);
        expect(by(0)).toEqual(by(1_000_000));
      }),
      { numRuns: 300 },
    );
    db.close();
  });

  test.each<[string, Partial<CallFilter>]>([
    ["everything", {}],
    ["what is rare", { verdict: "block" }],
    ["one user's on one connection", { user: "ada", connection: "model-x" }],
    ["one connection's", { connection: "model-y" }],
    ["one session's", { session: sessions[3]?.id }],
  ])("pages put together are %s, each call once", async (_, part) => {
    const filter = { ...ALL_CALLS, ...part };
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.reader.calls(filter, 333, cursor);
      ids.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(ids).toEqual(expected(filter));
  });

  test("a call that has not ended shows no end", async () => {
    const [newest] = (await store.reader.calls(ALL_CALLS, 1, undefined)).items;
    expect(newest).toMatchObject({ outcome: "complete", status: 200, durationMs: 12 });
    const open = (await store.reader.calls({ ...ALL_CALLS, verdict: "hold" }, 1, undefined)).items[0];
    expect(open).not.toHaveProperty("outcome");
    expect(open).not.toHaveProperty("endedAt");
  });

  test.each(["", "x", "-1", "1.5", "9".repeat(30), "1; DROP TABLE calls"])("%j is no cursor", async (cursor) => {
    await expect(store.reader.calls(ALL_CALLS, 10, cursor)).rejects.toMatchObject({ code: "bad_request" });
    await expect(store.reader.pastSessions(undefined, 10, cursor)).rejects.toMatchObject({ code: "bad_request" });
  });

  test("past sessions come newest first, of all or of one user, in pages", async () => {
    const closed = sessions.filter((_, i) => i % 2 === 0);
    await store.log.append(closed.map(({ id, user }) => closeDraft(id, user)));
    const newest = closed.map(({ id }) => id).reverse();
    const first = await store.reader.pastSessions(undefined, 150, undefined);
    const second = await store.reader.pastSessions(undefined, 150, first.next);
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(newest);
    expect(second.next).toBeUndefined();
    const ofEve = await store.reader.pastSessions("eve", 50, undefined);
    expect(ofEve.items.map(({ user }) => user)).toEqual(closed.filter(({ user }) => user === "eve").map(() => "eve"));
    expect((await store.reader.pastSessions("nobody", 50, undefined)).items).toEqual([]);
  });
});
