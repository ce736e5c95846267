import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { newCallId } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answeredDraft, decidedDraft } from "../../evidence/sample-records.ts";
import { Checkpoints } from "./checkpoints.ts";
import { type OpenDatabase, openWriter } from "./database.ts";
import { TEST_KEYS } from "./testing/keys.ts";
import { packBatch, packedSize } from "./wire.ts";
import { Writer } from "./writer.ts";

/** The writer on this thread, to look at what it does between commits. */
let folder: string;
let path: string;
let open: OpenDatabase;
let writer: Writer;
let next = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-writer-"));
  path = join(folder, "hoopish.db");
  open = openWriter({ role: "writer", path, keys: TEST_KEYS });
  writer = new Writer(open.db, TEST_KEYS.vault, checkpoints());
  next = 0;
});
afterEach(() => {
  open.close();
  rmSync(folder, { recursive: true, force: true });
});

const checkpoints = (): Checkpoints => new Checkpoints(open.db, new Int32Array(new SharedArrayBuffer(64)), true);

function commitCall(wait = true): void {
  const call = newCallId();
  const drafts = [decidedDraft({ call }), answeredDraft({ call })];
  const leaves = drafts.map((draft) => ({ text: JSON.stringify(draft), draft, timeMs: 1 }));
  const batch = { firstIndex: next, leaves, rows: [], changes: Buffer.alloc(0) };
  const bytes = Buffer.alloc(packedSize(batch, false));
  writer.apply([{ seq: undefined, bytes: bytes.subarray(0, packBatch(batch, bytes)) }], wait);
  next += leaves.length;
}

function emptyBatch(): Buffer {
  const batch = { firstIndex: next, leaves: [], rows: [], changes: Buffer.alloc(0) };
  const bytes = Buffer.alloc(packedSize(batch, false));
  return bytes.subarray(0, packBatch(batch, bytes));
}

const one = (sql: string): unknown => Object.values(open.db.prepare(sql).get() ?? {})[0];
const NORMAL = 1;
const FULL = 2;

describe("durability", () => {
  test("is full where somebody waits, whatever became of the derived tables", () => {
    commitCall();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    expect(() => writer.settle()).toThrow(/locked/);
    writer.tidy();
    other.exec("ROLLBACK");
    other.close();
    writer.settle();
    expect(one("PRAGMA synchronous")).toBe(NORMAL);
    commitCall();
    expect(one("PRAGMA synchronous")).toBe(FULL);
    expect(one("SELECT count(*) FROM calls")).toBe(1);
  });

  test("what the intake has is known to be durable here only after a wait for the disk", () => {
    writer.apply([{ seq: 7, bytes: emptyBatch() }], false);
    expect([writer.intake, writer.synced]).toEqual([7, 0]);
    expect(() => writer.syncIntake(8)).toThrow(/does not take/);
    writer.syncIntake(7);
    expect([writer.intake, writer.synced]).toEqual([7, 7]);
    expect(one("SELECT value FROM state WHERE name = 'intake'")).toBe(7);
  });

  test("a wait for the disk writes something: SQLite does not wait for what changes nothing", () => {
    writer.apply([{ seq: 7, bytes: emptyBatch() }], false);
    const before = statSync(`${path}-wal`).size;
    writer.sync();
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(before);
    // And again only when there is something new.
    const after = statSync(`${path}-wal`).size;
    writer.sync();
    expect(statSync(`${path}-wal`).size).toBe(after);
  });

  test("what a process before this one left in the database is not taken to be on the disk", () => {
    writer.apply([{ seq: 7, bytes: emptyBatch() }], false);
    const next = new Writer(open.db, TEST_KEYS.vault, checkpoints());
    expect([next.intake, next.synced]).toEqual([7, 0]);
    next.sync();
    expect(next.synced).toBe(7);
  });

  test("a number is given up only when all before it is here", () => {
    writer.apply([{ seq: 7, bytes: emptyBatch() }], false);
    expect(() => writer.giveUp(9)).toThrow(/does not take/);
    expect(() => writer.giveUp(7)).toThrow(/does not take/);
    writer.giveUp(8);
    expect([writer.intake, writer.synced]).toEqual([8, 8]);
    expect(one("SELECT value FROM state WHERE name = 'intake'")).toBe(8);
  });

  test("is put right before a record is taken, if something lowered it", () => {
    open.db.exec("PRAGMA synchronous = OFF");
    commitCall();
    expect(one("PRAGMA synchronous")).toBe(FULL);
  });

  test("a transaction that was left open is ended first", () => {
    const before = one("SELECT count(*) FROM state");
    open.db.exec("BEGIN IMMEDIATE; DELETE FROM state");
    commitCall();
    expect(one("SELECT count(*) FROM state")).toBe(before);
    expect(one("SELECT count(*) FROM records")).toBe(2);
  });
});

test("a batch that does not follow the log is refused whole", () => {
  commitCall();
  next = 1;
  expect(() => commitCall()).toThrow(/does not follow/);
  next = 3;
  expect(() => commitCall()).toThrow(/does not follow/);
  expect(one("SELECT count(*) FROM records")).toBe(2);
  next = 2;
  commitCall();
  expect(one("SELECT max(idx) FROM records")).toBe(3);
});

test("a transaction that fails leaves tree, vault and log as they were", () => {
  commitCall();
  const root = writer.tree.root();
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  expect(() => commitCall()).toThrow(/locked/);
  other.exec("ROLLBACK");
  other.close();
  expect(writer.tree.size).toBe(2);
  expect(writer.tree.root()).toEqual(root);
  next = 2;
  commitCall();
  expect(writer.tree.size).toBe(4);
});
