import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  type CallId,
  HoopishError,
  newCallId,
  newSessionId,
  type StoredRecord,
  verifyCommitment,
} from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ALL_CALLS } from "../../evidence/all-calls.ts";
import type { ExportItem } from "../../evidence/port.ts";
import { answeredDraft, closeDraft, decidedDraft, sessionDraft, wholePayload } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

let folder: string;
let path: string;
const opened: SqliteStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-store-"));
  path = join(folder, "data", "hoopish.db");
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(options: Partial<SqliteStoreOptions> = {}): Promise<SqliteStore> {
  const store = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1", ...options });
  opened.push(store);
  return store;
}
async function close(store: SqliteStore): Promise<void> {
  opened.splice(opened.indexOf(store), 1);
  await store.close();
}

const errorOf = (promise: Promise<unknown>): Promise<HoopishError> =>
  promise.then(
    () => new HoopishError("internal", "nothing was thrown"),
    (error: HoopishError) => error,
  );
async function allItems(store: SqliteStore, payloads = false): Promise<ExportItem[]> {
  const items: ExportItem[] = [];
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, payloads)) items.push(...batch);
  return items;
}
async function piecesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}
const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await piecesOf(pieces));

/** One whole call: decided with its request, answered with its answer. */
async function writeCall(store: SqliteStore, text = "hi"): Promise<ReturnType<typeof newCallId>> {
  const call = newCallId();
  const request = wholePayload(call, "request", Buffer.from(text));
  await store.log.append([decidedDraft({ call }, [request])], [request.piece]);
  const delivered = wholePayload(call, "delivered", Buffer.from(`${text} yourself`));
  await store.log.append([answeredDraft({ call }, [delivered])], [delivered.piece]);
  return call;
}

describe.each(["a file", "memory"])("a store in %s", (where) => {
  const here = (): Promise<SqliteStore> => open(where === "memory" ? { path: ":memory:" } : {});

  test("keeps the exact bytes of each record at consecutive indexes, and each payload", async () => {
    const store = await here();
    const calls = [await writeCall(store, "one"), await writeCall(store, "two")];
    const items = await allItems(store);
    expect(items.map((item) => (item.kind === "record" ? item.index : undefined))).toEqual([0, 1, 2, 3]);
    for (const [position, call] of calls.entries()) {
      const story = await store.reader.call(call);
      expect(story?.records.map(({ index }) => index)).toEqual([2 * position, 2 * position + 1]);
      expect(story?.records.map(({ leaf }) => leaf)).toEqual(
        items.slice(2 * position, 2 * position + 2).map((item) => (item.kind === "record" ? item.leaf : "")),
      );
      const text = ["one", "two"][position] as string;
      expect(story?.payloads).toEqual([
        { field: "request", bytes: 3, state: "complete" },
        { field: "delivered", bytes: 12, state: "complete" },
      ]);
      expect((await bytesOf(store.reader.payload(call, "delivered"))).toString()).toBe(`${text} yourself`);
      expect(await bytesOf(store.reader.payload(call, "answer"))).toHaveLength(0);
    }
    expect(await store.reader.call(newCallId())).toBeUndefined();
    expect(await bytesOf(store.reader.payload(newCallId(), "request"))).toHaveLength(0);
  });

  test("what is acknowledged is found by the read that follows, every time", async () => {
    const store = await here();
    for (let i = 0; i < 1_500; i++) {
      const session = newSessionId();
      await store.log.append([sessionDraft(session)]);
      // At all times of the writer's round: it must not answer a question before it has taken what the question is about.
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect((await store.reader.session(session))?.id).toBe(session);
    }
  });

  test("a payload in many pieces, some of them large, comes back whole, and opens its commitment", async () => {
    const store = await here();
    const call = newCallId();
    const whole = wholePayload(call, "request", Buffer.alloc(7_500_000, "0123456789abcdef-"));
    const cuts = [0, 1, 1, 300, 3_000_000, 3_000_001, 7_499_999, 7_500_000];
    await store.log.append([decidedDraft({ call }, [whole])]);
    await Promise.all(
      cuts.slice(1).map((end, seq) => {
        const bytes = whole.piece.bytes.subarray(cuts[seq], end);
        const salt = end === 7_500_000 ? { salt: whole.piece.salt as Uint8Array } : {};
        return store.log.append([], [{ call, field: "request", seq, bytes, ...salt }]);
      }),
    );
    expect((await store.reader.call(call))?.payloads).toEqual([
      { field: "request", bytes: 7_500_000, state: "complete" },
    ]);
    const pieces = await piecesOf(store.reader.payload(call, "request"));
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(65_536);
    expect(Buffer.concat(pieces).equals(whole.piece.bytes)).toBe(true);
    expect(verifyCommitment(whole.commitment, whole.piece.salt as Uint8Array, Buffer.concat(pieces))).toBe(true);
  });

  test("a record and a piece larger than what crosses between threads at one time", async () => {
    const store = await here();
    const call = newCallId();
    const large = wholePayload(call, "request", Buffer.alloc(9_000_000, "x"));
    await store.log.append([decidedDraft({ call }, [large]), answeredDraft({ call })], [large.piece]);
    expect((await bytesOf(store.reader.payload(call, "request"))).equals(large.piece.bytes)).toBe(true);
    expect((await store.reader.calls(ALL_CALLS, 10, undefined)).items).toHaveLength(1);
  });
});

describe("the file", () => {
  test("is for its owner alone, as its folder and every file beside it", async () => {
    const store = await open();
    await writeCall(store);
    const modes = ["", "-wal", "-shm", "-lock", "-intake-0", "-intake-1"].map(
      (suffix) => statSync(path + suffix).mode & 0o777,
    );
    expect(modes).toEqual([0o600, 0o600, 0o600, 0o600, 0o600, 0o600]);
    expect(statSync(join(folder, "data")).mode & 0o777).toBe(0o700);
  });

  test("holds everything when it is opened again, and goes on at the next index with another boot", async () => {
    const first = await open();
    const call = await writeCall(first);
    await close(first);
    const second = await open();
    await writeCall(second);
    const records = (await allItems(second)).map(
      (item) => JSON.parse(item.kind === "record" ? item.leaf : "") as StoredRecord,
    );
    expect(records.map(({ src }) => src.n)).toEqual([0, 1, 0, 1]);
    expect(new Set(records.map(({ src }) => src.boot)).size).toBe(2);
    expect((await second.reader.call(call))?.call.outcome).toBe("complete");
    expect(second.recovered).toEqual({ calls: 0, sessions: 0, records: 0 });
  });

  test("is used by one server at a time, and free when that has closed", async () => {
    const store = await open();
    const refused = await errorOf(openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-2" }));
    expect(refused.code).toBe("configuration");
    expect(refused.message).toContain("another hoopish-server uses this store");
    // The refused one must not have loosened the lock.
    expect((await errorOf(openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-3" }))).code).toBe("configuration");
    await writeCall(store);
    await close(store);
    await open();
  });

  test.each([
    ["a path under a file", () => join(folder, "file", "hoopish.db")],
    ["a path that is a folder", () => join(folder, "folder")],
    ["a file that is no database", () => join(folder, "file")],
  ])("%s is a mistake of configuration", async (_, at) => {
    mkdirSync(join(folder, "folder"));
    writeFileSync(
      join(folder, "file"),
      "this is no database, and longer than the header of one would have to be at least",
    );
    expect((await errorOf(openSqliteStore({ path: at(), keys: TEST_KEYS, replica: "gw-1" }))).code).toBe(
      "configuration",
    );
  });

  test("of a newer program is not touched", async () => {
    await close(await open());
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    const refused = await errorOf(openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1" }));
    expect(refused.code).toBe("configuration");
    expect(refused.message).toContain("99");
  });

  test("refuses UPDATE, DELETE and REPLACE of records and payloads, to whoever opens it", async () => {
    const store = await open();
    await writeCall(store);
    expect(await allItems(store)).toHaveLength(2);
    const db = new DatabaseSync(path, { timeout: 1_000 });
    expect(() => db.exec("DELETE FROM records")).toThrow(/never deleted/);
    for (const table of ["vault", "vault_keys", "pieces"]) {
      expect(() => db.exec(`DELETE FROM ${table}`)).toThrow(/by a purge alone/);
    }
    expect(() => db.exec("UPDATE records SET leaf = x'00'")).toThrow(/never changed/);
    expect(() => db.exec("UPDATE vault SET bytes = x'00'")).toThrow(/never changed/);
    expect(() => db.exec("UPDATE vault_keys SET wrapped = x'00'")).toThrow(/never changed/);
    expect(() => db.exec("UPDATE pieces SET sizes = x'00'")).toThrow(/never changed/);
    expect(() => db.exec("INSERT OR REPLACE INTO records (idx, leaf) VALUES (0, x'00')")).toThrow(/without a gap/);
    expect(() => db.exec("INSERT INTO records (idx, leaf) VALUES (9, x'00')")).toThrow(/without a gap/);
    db.close();
    expect(await allItems(store)).toHaveLength(2);
  });
});

describe("a store that cannot write", () => {
  test("goes on for a moment while another holds the database, then refuses, and recovers by itself with everything", async () => {
    const store = await open();
    await writeCall(store);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const calls: CallId[] = [];
    const write = async (): Promise<void> => {
      const call = newCallId();
      const request = wholePayload(call, "request", Buffer.from("hi"));
      await store.log.append([decidedDraft({ call }, [request]), answeredDraft({ call })], [request.piece]);
      calls.push(call);
    };
    // What is durable in the intake is durable: nobody waits for the lock.
    await write();
    let refusal: HoopishError | undefined;
    while (refusal === undefined) {
      await write().catch((error: HoopishError) => {
        refusal = error;
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(refusal.code).toBe("evidence_unavailable");
    expect((refusal.cause as Error).message).toContain("locked");
    expect(store.log.writable).toBe(false);
    expect((await errorOf(write())).code).toBe("evidence_unavailable");
    other.exec("ROLLBACK");
    other.close();
    await vi.waitFor(write, 5_000);
    expect(store.log.writable).toBe(true);
    const records = (await allItems(store)).map(
      (item) => JSON.parse(item.kind === "record" ? item.leaf : "") as StoredRecord,
    );
    expect(records.map(({ src }) => src.n)).toEqual(records.map((_, position) => position));
    expect(records.length).toBe(2 + 2 * calls.length);
    for (const call of calls) expect((await bytesOf(store.reader.payload(call, "request"))).toString()).toBe("hi");
  });

  test("refuses when the disk is full, keeps what it has said yes to, and nothing of what it refused", async () => {
    const store = await open({ maxPages: 60 });
    const written: string[] = [];
    let refusal: HoopishError | undefined;
    while (refusal === undefined) {
      const call = newCallId();
      const request = wholePayload(call, "request", randomBytes(20_000));
      try {
        await store.log.append([decidedDraft({ call }, [request]), answeredDraft({ call })], [request.piece]);
        written.push(call);
      } catch (error) {
        refusal = error as HoopishError;
        expect(await store.reader.call(call)).toBeUndefined();
      }
    }
    expect(refusal.code).toBe("evidence_unavailable");
    expect((refusal.cause as Error).message).toContain("full");
    expect(written.length).toBeGreaterThan(5);
    await close(store);
    const roomier = await open();
    const listed = await roomier.reader.calls(ALL_CALLS, 500, undefined);
    expect(listed.items.map(({ id }) => id as string).reverse()).toEqual(written);
    for (const call of listed.items) {
      expect((await roomier.reader.call(call.id))?.payloads).toEqual([
        { field: "request", bytes: 20_000, state: "complete" },
      ]);
    }
    await writeCall(roomier);
    const indexes = (await allItems(roomier)).map((item) => (item.kind === "record" ? item.index : -1));
    expect(indexes).toEqual(indexes.map((_, position) => position));
  });
});

describe("on the next start", () => {
  test("calls and sessions that were left open are ended in the log, once", async () => {
    const store = await open();
    const session = newSessionId();
    const done = newSessionId();
    await store.log.append([sessionDraft(session), sessionDraft(done), closeDraft(done)]);
    const call = newCallId();
    const request = wholePayload(call, "request", Buffer.from("hi"));
    await store.log.append([decidedDraft({ call, session }, [request])], [request.piece]);
    await store.log.append([], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("half an ans") }]);
    expect((await store.reader.session(session))?.state).toBe("live");
    expect((await store.reader.pastSessions(undefined, 10, undefined)).items.map(({ id }) => id)).toEqual([done]);
    await close(store);

    const next = await open();
    expect(next.recovered).toEqual({ calls: 1, sessions: 1, records: 0 });
    const story = await next.reader.call(call);
    expect(story?.call).toMatchObject({ outcome: "interrupted", deliveredBytes: 11 });
    expect(story?.payloads).toEqual([
      { field: "request", bytes: 2, state: "complete" },
      { field: "delivered", bytes: 11, state: "cut" },
    ]);
    expect(await next.reader.session(session)).toMatchObject({
      state: "closed",
      closeReason: "server stopped without closing",
      calls: 1,
    });
    expect((await next.reader.pastSessions(undefined, 10, undefined)).items.map(({ id }) => id)).toEqual([
      done,
      session,
    ]);
    await close(next);
    expect((await open()).recovered).toEqual({ calls: 0, sessions: 0, records: 0 });
  });

  test("the derived tables are built again from the records, from wherever they stopped", async () => {
    const store = await open();
    const session = newSessionId();
    await store.log.append([sessionDraft(session)]);
    for (let i = 0; i < 40; i++) await writeCall(store, `call ${i}`);
    // More than one block of times.
    await Promise.all(
      Array.from({ length: 5_000 }, () => store.log.append([{ type: "server.started", version: "1", config: "c" }])),
    );
    const before = await store.reader.calls(ALL_CALLS, 100, undefined);
    await close(store);
    const contents = (): Record<string, unknown[]> => {
      const db = new DatabaseSync(path, { readOnly: true });
      const tables = ["calls", "series", "names", "blocks"];
      const all = tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).all()] as const);
      db.close();
      return Object.fromEntries(all);
    };
    const written = contents();
    const db = new DatabaseSync(path);
    for (const table of [...Object.keys(written), "sessions"]) db.exec(`DELETE FROM ${table}`);
    db.exec("UPDATE state SET value = 0 WHERE name = 'indexed'");
    db.close();
    await close(await open());
    expect(contents()).toEqual(written);
    const again = await open();
    expect(again.recovered).toEqual({ calls: 0, sessions: 0, records: 0 });
    expect(await again.reader.calls(ALL_CALLS, 100, undefined)).toEqual(before);
    expect((await again.reader.session(session))?.closeReason).toBe("server stopped without closing");
  });
});

test("whoever reads finds what was durable before he asked, however many ask at once", async () => {
  const store = await open();
  const anything = { user: undefined, connection: undefined, session: undefined, call: undefined };
  const filter = { types: ["lock.lifted" as const], ...anything, sinceMs: undefined, untilMs: undefined };
  const by = { name: "a", sub: "a", iss: "https://idp", groups_hash: "0".repeat(64), kind: "human" as const };
  for (let count = 1; count <= 30; count++) {
    const lock = `lock_${String(count).padStart(32, "0")}` as never;
    await store.log.append([{ type: "lock.lifted", lock, kind: "user", name: "x", reason: "r", actor: by } as never]);
    const pages = await Promise.all([1, 2, 3].map(() => store.reader.search(filter, 100, undefined)));
    expect(pages.map(({ items }) => items.length)).toEqual([count, count, count]);
  }
});
