import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { newCallId } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answeredDraft, decidedDraft } from "../../evidence/sample-records.ts";
import { Checkpoints } from "./checkpoints.ts";
import { type OpenDatabase, openWriter } from "./database.ts";
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
  open = openWriter({ role: "writer", path });
  writer = new Writer(open.db, new Checkpoints(open.db, new Int32Array(new SharedArrayBuffer(64)), true));
  next = 0;
});
afterEach(() => {
  open.close();
  rmSync(folder, { recursive: true, force: true });
});

function commitCall(): void {
  const call = newCallId();
  const drafts = [decidedDraft({ call }), answeredDraft({ call })];
  const leaves = drafts.map((draft) => ({ text: JSON.stringify(draft), draft, timeMs: 1 }));
  const batch = { firstIndex: next, leaves, rows: [], changes: Buffer.alloc(0) };
  const bytes = Buffer.alloc(packedSize(batch, false));
  writer.commit(bytes.subarray(0, packBatch(batch, bytes)));
  next += leaves.length;
}

const one = (sql: string): unknown => Object.values(open.db.prepare(sql).get() ?? {})[0];
const FULL = 2;

describe("durability", () => {
  test("is full at every commit, whatever became of the derived tables", () => {
    commitCall();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    expect(() => writer.settle()).toThrow(/locked/);
    expect(one("PRAGMA synchronous")).toBe(FULL);
    writer.tidy(true);
    expect(one("PRAGMA synchronous")).toBe(FULL);
    other.exec("ROLLBACK");
    other.close();
    writer.settle();
    expect(one("PRAGMA synchronous")).toBe(FULL);
    expect(one("SELECT count(*) FROM calls")).toBe(1);
  });

  test("is put right before a record is taken, if something lowered it", () => {
    open.db.exec("PRAGMA synchronous = OFF");
    commitCall();
    expect(one("PRAGMA synchronous")).toBe(FULL);
  });

  test("a transaction that was left open is ended first", () => {
    open.db.exec("BEGIN IMMEDIATE; DELETE FROM state");
    commitCall();
    expect(one("SELECT count(*) FROM state")).toBe(1);
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

test("the derived tables follow at 256 records, or when there is nothing else to do", () => {
  for (let i = 0; i < 127; i++) {
    commitCall();
    writer.tidy(false);
  }
  expect(one("SELECT count(*) FROM calls")).toBe(0);
  expect(writer.waiting).toBe(true);
  commitCall();
  writer.tidy(false);
  expect(one("SELECT count(*) FROM calls WHERE ended = key + 1")).toBe(128);
  expect(writer.waiting).toBe(false);
  commitCall();
  writer.tidy(true);
  expect(one("SELECT count(*) FROM calls")).toBe(129);
});
