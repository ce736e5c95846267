import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type CallId, type HoopishError, newAgentId, newCallId, newSessionId } from "@hoopish/protocol";
import { openCheckpoint, parseVkey } from "@hoopish/protocol/tlog";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ALL_CALLS } from "../../evidence/all-calls.ts";
import { answeredDraft, closeDraft, decidedDraft, sessionDraft, wholePayload } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";
import { PlainTree, plainLeaf } from "./testing/plain-tree.ts";
import { verifyStore } from "./verify/verify-store.ts";

/**
 * An insider with the sqlite shell and the right to write the file, but without the keys. Each test says what notices,
 * and when: the next start, `hoopish-server verify`, whoever reads the payload, or an export's verifier.
 */

const CALLS = 330;
let folder: string;
let source: string;
let vkey: string;
const calls: CallId[] = [];

/** One store that was closed in order; every attack is on a copy of it. */
beforeAll(async () => {
  // Where there is such a place, without a wait for the disk: nothing here is about the disk.
  folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "hoopish-insider-"));
  source = join(folder, "source", "hoopish.db");
  const store = await openSqliteStore({ path: source, keys: TEST_KEYS, replica: "gw-1" });
  ({ vkey } = store.tree);
  const sessions = [newSessionId(), newSessionId()] as const;
  await store.log.append(sessions.map((id) => sessionDraft(id)));
  for (let i = 0; i < CALLS; i++) {
    const call = newCallId();
    const request = wholePayload(call, "request", Buffer.from(`request ${i}`));
    const delivered = wholePayload(call, "delivered", Buffer.from(`the answer to request ${i}`));
    const of = { call, session: sessions[i % 2] as (typeof sessions)[0], user: `user${i % 3}@bank.example` };
    await store.log.append([decidedDraft(of, [request])], [request.piece]);
    await store.log.append([answeredDraft(of, [delivered])], [delivered.piece]);
    calls.push(call);
    if (i % 50 === 25) await store.tree.sign();
    // A block of the vault of its own for some of the calls.
    if (i % 50 === 0) await store.reader.call(call);
  }
  const enrolled = { type: "agent.enrolled", agent: newAgentId(), name: "edge-1", key: "k" } as const;
  await store.agents.addToken({ sha256: "a".repeat(64), name: "edge-1", expiresAtMs: 8e15 });
  const agent = { id: enrolled.agent, name: "edge-1", publicKey: "k", enrolledAtMs: 1, revokedAtMs: undefined };
  await store.agents.enroll("a".repeat(64), agent, 1, enrolled);
  await store.agents.revoke(agent.id, 2, { type: "agent.revoked", agent: agent.id, name: "edge-1", by: "admin" });
  await store.log.append([closeDraft(sessions[0])]);
  await store.close();
  expect(verifyStore({ path: source, keys: TEST_KEYS })).toMatchObject({ findings: [], records: 2 * CALLS + 5 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const opened: SqliteStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  for (const name of readdirSync(folder)) if (name !== "source") rmSync(join(folder, name), { recursive: true });
});

const TRIGGERS = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";

/** A copy of the store, after the attack. */
function attacked(...sql: readonly string[]): string {
  const path = join(folder, crypto.randomUUID(), "hoopish.db");
  // It was closed in order: nothing of its intake is needed.
  cpSync(source, path);
  const db = new DatabaseSync(path);
  for (const { name } of db.prepare(TRIGGERS).all() as { name: string }[]) db.exec(`DROP TRIGGER ${name}`);
  for (const statement of sql) {
    const before = db.prepare("SELECT total_changes() AS changes").get() as { changes: number };
    db.exec(statement);
    const after = db.prepare("SELECT total_changes() AS changes").get() as { changes: number };
    expect(after.changes, `${statement} changes something`).toBeGreaterThan(before.changes);
  }
  db.close();
  return path;
}

async function start(path: string): Promise<SqliteStore | HoopishError> {
  try {
    const store = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1" });
    opened.push(store);
    return store;
  } catch (error) {
    return error as HoopishError;
  }
}
async function started(path: string): Promise<SqliteStore> {
  const store = await start(path);
  if (store instanceof Error) throw store;
  return store;
}
const found = (path: string): string[] => verifyStore({ path, keys: TEST_KEYS }).findings.map(({ message }) => message);

async function leaves(store: SqliteStore): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, false))
    for (const item of batch) if (item.kind === "record") all.push(Buffer.from(item.leaf));
  return all;
}
async function payload(store: SqliteStore, call: CallId, field: "request" | "delivered"): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.reader.payload(call, field)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const rename = (idx: number): string =>
  `UPDATE records SET leaf = CAST(replace(leaf, 'bank.example', 'evil.example') AS BLOB) WHERE idx = ${idx}`;
const swap = (one: number, two: number): string =>
  `CREATE TABLE taken AS SELECT * FROM records WHERE idx IN (${one}, ${two});
   UPDATE records SET leaf = (SELECT leaf FROM taken WHERE taken.idx = ${one} + ${two} - records.idx) WHERE idx IN (${one}, ${two})`;
const BAD_INTERVAL = /^the records \d{1,2} to \d+ are not those that were signed at \d+$/;
const FORGED = `INSERT INTO records SELECT max(idx) + 1, (SELECT leaf FROM records WHERE idx = 7) FROM records`;
const LAST = 2 * CALLS + 4;

describe("the end of the log: the next start refuses, and nothing is signed", () => {
  test.each([
    ["a record of the last 256 is edited", rename(LAST - 3), /changed the store/, /changed the store/],
    ["the last record is edited", rename(LAST), /changed the store/, /changed the store/],
    ["the last record is deleted", `DELETE FROM records WHERE idx = ${LAST}`, /changed the store/, /were signed/],
    ["a record is inserted at the end", FORGED, /changed the store/, /changed the store/],
    ["the last two are swapped", swap(LAST, LAST - 1), /changed the store/, /changed the store/],
    ["a record near the end is deleted", `DELETE FROM records WHERE idx = ${LAST - 9}`, /hole/, /hole|missing/],
    [
      "a node of the tree is edited",
      "UPDATE subtrees SET hash = zeroblob(32) WHERE idx = 0",
      /changed the store/,
      /records 0 to 255, or the node/,
    ],
    ["a node of the tree is deleted", "DELETE FROM subtrees WHERE idx = 1", /hole/, /hole/],
    [
      "a node of the tree is added",
      "INSERT INTO subtrees VALUES (16, 0, zeroblob(32))",
      /nodes of the log's tree/,
      /nodes of the log's tree/,
    ],
    [
      "state.intake is set back",
      "UPDATE state SET value = value - 1 WHERE name = 'intake'",
      /changed the store/,
      /changed the store/,
    ],
    [
      "state.intake is set forward",
      "UPDATE state SET value = value + 9 WHERE name = 'intake'",
      /changed the store/,
      /changed the store/,
    ],
    [
      "state.serial is set",
      "UPDATE state SET value = 1 WHERE name = 'serial'",
      /changed the store/,
      /changed the store/,
    ],
    ["the seal is taken away", "UPDATE state SET value = 0 WHERE name = 'seal'", /seal .* is gone/, /seal .* is gone/],
    [
      "the newest checkpoint is edited",
      `UPDATE checkpoints SET root = zeroblob(32) WHERE size = ${LAST + 1}`,
      /not what was signed/,
      /not those that were signed/,
    ],
    [
      "a later checkpoint is made up",
      `INSERT INTO checkpoints SELECT size + 1, time, root, note FROM checkpoints WHERE size = ${LAST + 1}`,
      /not what was signed/,
      /were signed/,
    ],
  ])("%s", async (_, sql, refused, verified) => {
    const path = attacked(sql);
    expect(found(path).join("; ")).toMatch(verified);
    const error = await start(path);
    expect(error).toMatchObject({ code: "configuration", message: expect.stringMatching(refused) });
    expect((error as HoopishError).hint).toContain("evidence");
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare(`SELECT count(*) AS more FROM checkpoints WHERE size > ${LAST + 2}`).get()).toEqual({ more: 0 });
    db.close();
  });
});

describe("agents and holds: the next start refuses", () => {
  test.each([
    ["an agent is enrolled", "INSERT INTO agents VALUES ('agt_x', 'edge-2', 'his own key', 1, NULL)"],
    ["an agent is taken back", "UPDATE agents SET revoked_at = NULL"],
    ["an agent's key is replaced", "UPDATE agents SET public_key = 'his own key'"],
    ["an enrolment token is made", "INSERT INTO tokens VALUES ('b', 'edge-2', 9e15, NULL)"],
    ["a token is made good again", "UPDATE tokens SET used_by = NULL"],
    [
      "a hold is made up",
      "INSERT INTO holds (id, placed_at, placed_by, reason, filters) VALUES ('h', 1, 'x', 'y', '{}')",
    ],
  ])("%s", async (_, sql) => {
    const path = attacked(sql.replace("9e15", "9000000000000000"));
    expect(await start(path)).toMatchObject({ message: expect.stringContaining("its agents") });
    expect(found(path).join()).toContain("its agents");
  });
});

describe("older records: the start reads the end alone, `verify` and every export's verifier read all", () => {
  test.each([
    ["edited", rename(20), BAD_INTERVAL],
    ["deleted", "DELETE FROM records WHERE idx = 20", /record 20 is missing/],
    ["swapped", swap(20, 22), BAD_INTERVAL],
    [
      "replaced by a copy of another",
      "UPDATE records SET leaf = (SELECT leaf FROM records WHERE idx = 22) WHERE idx = 20",
      BAD_INTERVAL,
    ],
  ])("a record is %s", async (_, sql, message) => {
    const path = attacked(sql);
    expect(found(path)).toContainEqual(expect.stringMatching(message));
    const store = await started(path);
    // What an export hands out does not fold to what was signed.
    const { checkpoint } = openCheckpoint(store.tree.newest().note, [parseVkey(vkey)]);
    const exported = new PlainTree((await leaves(store)).map(plainLeaf));
    expect(
      exported.root(0, Math.min(Number(checkpoint.size), (await leaves(store)).length)).equals(checkpoint.root),
    ).toBe(false);
    // And no earlier size is signed over it, whoever asks.
    await expect(store.tree.signAt(30)).rejects.toThrow();
  });

  test("a record and the node over it are edited to fit: the checkpoint after them tells", async () => {
    const path = attacked(rename(20));
    const db = new DatabaseSync(path);
    const rows = db.prepare("SELECT leaf FROM records WHERE idx < 256 ORDER BY idx").all() as { leaf: Uint8Array }[];
    const node = new PlainTree(rows.map(({ leaf }) => plainLeaf(leaf))).root(0, 256);
    db.prepare("UPDATE subtrees SET hash = ? WHERE level = 8 AND idx = 0").run(node);
    db.close();
    expect(found(path)).toContainEqual(expect.stringMatching(BAD_INTERVAL));
    expect(await start(path)).toMatchObject({ code: "configuration" });
  });

  test("with the log's key too, he can sign what he likes; whoever saw a checkpoint before has another", async () => {
    const before = await started(attacked("UPDATE state SET value = value + 1 WHERE name = 'syncs'"));
    const seen = before.tree.newest();
    const path = join(folder, "rewritten", "hoopish.db");
    const rewritten = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1" });
    opened.push(rewritten);
    for (let i = 0; i < seen.size; i++)
      await rewritten.log.append([{ type: "server.stopped", reason: `${i}` }], [], "soon");
    const signed = await rewritten.tree.sign();
    expect(openCheckpoint(signed.note, [parseVkey(vkey)]).checkpoint.size).toBe(BigInt(seen.size));
    expect(Buffer.from(signed.root).equals(seen.root)).toBe(false);
    expect(found(path)).toEqual([]);
  });
});

describe("checkpoints", () => {
  test("one that is removed takes nothing away: the log still leads through what it said", async () => {
    const path = attacked(`DELETE FROM checkpoints WHERE size = ${LAST + 1}`);
    const before = await started(attacked("UPDATE state SET value = value + 1 WHERE name = 'syncs'"));
    const removed = before.tree.newest();
    const store = await started(path);
    const again = await store.tree.signAt(removed.size);
    expect(Buffer.from(again.root).equals(removed.root)).toBe(true);
  });

  const OLDER = "(SELECT size FROM checkpoints WHERE size > 0 ORDER BY size LIMIT 1)";
  test.each([
    ["its note", `UPDATE checkpoints SET note = replace(note, 'A', 'B') WHERE size = ${OLDER}`],
    [
      "its signature",
      `UPDATE checkpoints SET note = substr(note, 1, instr(note, '—') - 1) ||
       (SELECT substr(first.note, instr(first.note, '—')) FROM checkpoints AS first WHERE first.size = 0) WHERE size = ${OLDER}`,
    ],
    ["its root", `UPDATE checkpoints SET root = zeroblob(32) WHERE size = ${OLDER}`],
    ["its size", `UPDATE checkpoints SET size = size + 1 WHERE size = ${OLDER}`],
  ])("an older one that is replaced is found by verify: %s", (_, sql) => {
    expect(found(attacked(sql)).join()).toMatch(
      /checkpoint of \d+ records is not what was signed|are not those that were signed/,
    );
  });
});

describe("the vault", () => {
  test("payloads that were swapped between calls do not open, and an export of them breaks; the records still come", async () => {
    const path = attacked(
      `CREATE TABLE taken AS SELECT block, bytes FROM vault WHERE block <= 2;
       UPDATE vault SET bytes = (SELECT bytes FROM taken WHERE taken.block = 3 - vault.block) WHERE block <= 2`,
    );
    const store = await started(path);
    await expect(payload(store, calls[0] as CallId, "request")).rejects.toThrow(
      /block 1 of the vault is not what was written/,
    );
    const exported = async (): Promise<void> => {
      for await (const _ of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, true));
    };
    await expect(exported()).rejects.toThrow(/of the vault is not what was written/);
    expect((await leaves(store)).length).toBeGreaterThan(LAST);
    expect(await payload(store, calls.at(-1) as CallId, "request")).toBe(`request ${CALLS - 1}`);
  });

  test("a block that was deleted is said to be gone, and is not an empty payload", async () => {
    const store = await started(attacked("DELETE FROM vault WHERE block = 1"));
    await expect(payload(store, calls[0] as CallId, "request")).rejects.toThrow(/block 1 of the vault is not there/);
  });

  test("a call's pieces that were deleted, or said to be shorter, leave a payload that its record does not fit", async () => {
    for (const sql of ["DELETE FROM pieces WHERE call = 2", "UPDATE pieces SET sizes = zeroblob(6) WHERE call = 2"]) {
      const store = await started(attacked(sql));
      const story = await store.reader.call(calls[0] as CallId);
      expect(JSON.parse(story?.records[0]?.leaf ?? "{}")).toMatchObject({ payloads: { request: { len: 9 } } });
      expect(story?.payloads.filter(({ state }) => state === "complete")).toEqual([]);
    }
  });
});

describe("the tables that searches read: a call is hidden from a search, not from the log; verify says so", () => {
  test.each([
    ["a call's row is deleted", "DELETE FROM calls WHERE key = 20", /the call 20 is shown as /],
    [
      "a call is said to be another user's",
      "UPDATE calls SET series = (SELECT max(key) FROM series) WHERE key = 20",
      /the call 20 is shown as /,
    ],
    [
      "a user's name is changed",
      "UPDATE names SET name = 'nobody' WHERE name LIKE 'user1%'",
      /the call \d+ is shown as .*nobody/,
    ],
    ["a call's time is changed", "UPDATE calls SET time = time - 1 WHERE key = 20", /the call 20 is shown as /],
    ["a call's verdict is changed", "UPDATE calls SET verdict = 2 WHERE key = 20", /the call 20 is shown as /],
    [
      "a call is said to have ended elsewhere",
      "UPDATE calls SET ended = 23 WHERE key = 20",
      /the call 20 is shown as /,
    ],
    ["a call is said to be open", "UPDATE calls SET ended = NULL WHERE key = 20", /the call 20 is shown as /],
    [
      "a call is made up",
      "INSERT INTO calls SELECT 21, zeroblob(16), time, series, session, verdict, ended FROM calls WHERE key = 20",
      /the call 21 is shown|the call 22 is shown as/,
    ],
    ["a session is deleted", "DELETE FROM sessions WHERE key = 0", /the session 0 is shown as /],
    ["a session is said to be open", "UPDATE sessions SET closed = NULL", /the session 0 is shown as /],
    [
      "a session is said to have ended",
      "UPDATE sessions SET closed = 9 WHERE closed IS NULL",
      /the session 1 is shown as /,
    ],
    ["an event is deleted", "DELETE FROM events WHERE idx = 1", /the event \d+ is shown as /],
    ["an event is said to be of another type", "UPDATE event_series SET type = type + 100", /the event 0 is shown as /],
    ["a purge is made up", "INSERT INTO purges VALUES (9, 0, 24321)", /the purge 9 is shown, and the log has none/],
    ["a mention is made up", "INSERT INTO mentions VALUES (zeroblob(16), 5)", /the mention \d+ is shown/],
    [
      "calls are deleted and said to be shown",
      "DELETE FROM calls; UPDATE state SET value = 100000 WHERE name = 'indexed'",
      /they show 100000 records/,
    ],
  ])("%s", (_, sql, message) => {
    expect(found(attacked(sql)).join("; ")).toMatch(message);
  });

  test("a hidden call is in no list, and still in every export", async () => {
    const store = await started(attacked("DELETE FROM calls WHERE key = 20"));
    const hidden = calls[9] as CallId;
    expect((await store.reader.calls(ALL_CALLS, 500, undefined)).items.map(({ id }) => id)).not.toContain(hidden);
    expect((await leaves(store)).filter((leaf) => leaf.includes(hidden))).toHaveLength(2);
  });

  test("and they are built again from the log, when they are given up", async () => {
    const tables = ["calls", "sessions", "mentions", "blocks", "series", "names", "events", "event_series"].map(
      (name) => `DELETE FROM ${name}`,
    );
    const path = attacked("DELETE FROM calls WHERE key = 20", "UPDATE names SET name = 'nobody' WHERE key = 1");
    expect(found(path)).not.toEqual([]);
    const db = new DatabaseSync(path);
    db.exec(`${tables.join("; ")}; UPDATE state SET value = 0 WHERE name = 'indexed'`);
    db.close();
    const store = await started(path);
    expect(found(path)).toEqual([]);
    expect((await store.reader.calls(ALL_CALLS, 500, undefined)).items).toHaveLength(CALLS);
  });
});

describe("while the server runs", () => {
  test("a record that another program inserts stops the log, and nothing of it is signed", async () => {
    const path = attacked("UPDATE state SET value = value + 1 WHERE name = 'syncs'");
    const store = await started(path);
    const signed = await store.tree.sign();
    const db = new DatabaseSync(path, { timeout: 1_000 });
    db.exec(FORGED);
    db.close();
    const refused = await until(() => store.log.append([{ type: "server.stopped", reason: "after" }]));
    expect(refused).toMatchObject({ code: "evidence_unavailable" });
    expect((refused.cause as Error).message).toMatch(/changed the store|without a gap/);
    expect((await store.tree.sign()).size).toBe(signed.size);
    await store.close();
    opened.length = 0;
    expect(await start(path)).toMatchObject({ code: "configuration" });
  });

  async function until(act: () => Promise<unknown>): Promise<HoopishError> {
    for (let tries = 0; tries < 100; tries++) {
      try {
        await act();
        await new Promise((resolve) => setTimeout(resolve, 20));
      } catch (error) {
        return error as HoopishError;
      }
    }
    throw new Error("it was never refused");
  }
});
