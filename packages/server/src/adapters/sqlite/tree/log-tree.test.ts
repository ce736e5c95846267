import { DatabaseSync } from "node:sqlite";
import { EMPTY_ROOT, Frontier } from "@hoopish/protocol/tlog";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Query } from "../query.ts";
import { migrate } from "../schema.ts";
import { PlainTree, plainLeaf } from "../testing/plain-tree.ts";
import { LogTree } from "./log-tree.ts";
import { TreeReader } from "./tree-reader.ts";

let db: DatabaseSync;
let tree: LogTree;
let reader: TreeReader;
beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db);
  tree = newTree();
  tree.load(new Query(db), () => undefined);
  reader = new TreeReader(new Query(db));
});
afterEach(() => db.close());

function newTree(): LogTree {
  const keep = db.prepare("INSERT INTO subtrees (level, idx, hash) VALUES (?, ?, ?)");
  return new LogTree((level, index, hash) => keep.run(level, index, hash));
}
const leafOf = (index: number): Buffer => Buffer.from(`{"leaf":${index}}`);

function grow(to: number, look: (size: number) => void = () => undefined): void {
  const insert = db.prepare("INSERT INTO records (idx, leaf) VALUES (?, ?)");
  while (tree.size < to) {
    const leaf = leafOf(tree.size);
    insert.run(tree.size, leaf);
    tree.push(leaf);
    look(tree.size);
  }
}
const plainOf = (size: number): PlainTree =>
  new PlainTree(Array.from({ length: size }, (_, index) => plainLeaf(leafOf(index))));

/** Drops what keeps mistakes out, as whoever owns the file can. */
const unguarded = (sql: string): void => {
  for (const name of ["records_keep_update", "records_keep_delete", "subtrees_keep_update", "subtrees_keep_delete"])
    db.exec(`DROP TRIGGER IF EXISTS ${name}`);
  db.exec(sql);
};

describe("roots and proofs", () => {
  test("of every size from 0 to 600 are those of RFC 6962", () => {
    const plain = plainOf(600);
    db.exec("BEGIN");
    expect(tree.root()).toEqual(EMPTY_ROOT);
    grow(600, (size) => {
      expect(tree.root().equals(plain.root(0, size)), `size ${size}`).toBe(true);
    });
    db.exec("COMMIT");
    reader.checkKept(600);
    for (let size = 0; size <= 600; size++) {
      expect(reader.root(size).equals(plain.root(0, size)), `size ${size}`).toBe(true);
      expect(new Frontier(size, reader.edge(size)).root().equals(plain.root(0, size))).toBe(true);
    }
    for (let size = 1; size <= 600; size += size < 20 || (size > 250 && size < 260) ? 1 : 37) {
      for (let index = 0; index < size; index += 1 + Math.floor(size / 9)) {
        expect(reader.inclusion(index, size), `${index} in ${size}`).toEqual(plain.path(index, 0, size));
      }
      for (let before = 1; before < size; before += 1 + Math.floor(size / 9)) {
        expect(reader.consistency(before, size), `${before} to ${size}`).toEqual(plain.proof(before, size));
      }
    }
  });

  test("around the second kept level are too", { timeout: 60_000 }, () => {
    const top = 65_536 + 300;
    const plain = plainOf(top);
    const looked = new Set([65_279, 65_280, 65_281, 65_535, 65_536, 65_537, 65_792, top]);
    db.exec("BEGIN");
    grow(top, (size) => {
      if (looked.has(size)) expect(tree.root().equals(plain.root(0, size)), `size ${size}`).toBe(true);
    });
    db.exec("COMMIT");
    reader.checkKept(top);
    for (const size of looked) {
      expect(reader.root(size).equals(plain.root(0, size)), `size ${size}`).toBe(true);
      for (const index of [0, 255, 256, 32_768, 65_278, size - 1])
        expect(reader.inclusion(index, size)).toEqual(plain.path(index, 0, size));
      for (const before of [1, 255, 256, 257, 40_000, 65_278])
        expect(reader.consistency(before, size)).toEqual(plain.proof(before, size));
    }
    // Read again, it goes on where it was.
    const again = newTree();
    again.load(new Query(db), (size, root) => expect([size, root]).toEqual([top, plain.root(0, top)]));
    expect(again.root()).toEqual(tree.root());
    db.exec("BEGIN");
    for (let index = top; index < 65_536 + 600; index++) {
      tree.push(leafOf(index));
      if (index === top + 100) db.exec("ROLLBACK; BEGIN");
    }
    db.exec("ROLLBACK");
    tree.load(new Query(db), () => undefined);
    expect([tree.size, tree.root()]).toEqual([top, plain.root(0, top)]);
  });
});

describe("what is kept", () => {
  test("after a rollback the tree is what the database is, and goes on from there", () => {
    const plain = plainOf(700);
    for (const [keep, drop] of [
      [3, 10],
      [250, 260],
      [511, 513],
      [600, 690],
    ] as const) {
      db.exec("BEGIN");
      grow(keep);
      db.exec("COMMIT; BEGIN");
      grow(drop);
      db.exec("ROLLBACK");
      tree.load(new Query(db), () => undefined);
      expect([tree.size, tree.root()]).toEqual([keep, plain.root(0, keep)]);
    }
    grow(700);
    expect(tree.root()).toEqual(plain.root(0, 700));
    reader.checkKept(700);
  });

  test("a tree that could not be read has no size, until it can", () => {
    grow(300);
    expect(() =>
      tree.load(new Query(db), () => {
        throw new Error("the disk is broken");
      }),
    ).toThrow("the disk is broken");
    expect(tree.size).toBeNaN();
    tree.load(new Query(db), () => undefined);
    expect([tree.size, tree.root()]).toEqual([300, plainOf(300).root(0, 300)]);
  });

  test.each([
    ["a record is missing", "DELETE FROM records WHERE idx = 590", /hole at level 0, 512/],
    ["a kept node is missing", "DELETE FROM subtrees WHERE idx = 1", /hole at level 8, 0/],
  ])("%s: a hole is noticed", (_, sql, message) => {
    grow(600);
    unguarded(sql);
    expect(() => tree.load(new Query(db), () => undefined)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), code: "HOOPISH_LOG" }),
    );
    expect(tree.size).toBeNaN();
  });

  test("a kept node that was changed, added or lost is noticed, whichever it is", { timeout: 60_000 }, () => {
    const size = 2 * 65_536 + 700;
    db.exec("BEGIN");
    grow(size);
    db.exec("COMMIT");
    reader.checkKept(size);
    const noticed = (sql: string): void => {
      db.exec("BEGIN");
      unguarded(sql);
      expect(() => reader.checkKept(size), sql).toThrow(expect.objectContaining({ code: "HOOPISH_LOG" }));
      db.exec("ROLLBACK");
    };
    for (const [level, index] of [
      [8, 0],
      [8, 255],
      [8, 300],
      [8, 511],
      [16, 0],
      [16, 1],
    ]) {
      noticed(`UPDATE subtrees SET hash = zeroblob(32) WHERE level = ${level} AND idx = ${index}`);
      noticed(`DELETE FROM subtrees WHERE level = ${level} AND idx = ${index}`);
    }
    noticed("INSERT INTO subtrees VALUES (24, 0, zeroblob(32))");
    noticed("INSERT INTO subtrees VALUES (8, 514, zeroblob(32))");
    noticed("UPDATE subtrees SET hash = substr(hash, 2) WHERE level = 16 AND idx = 0");
    // Those under no node that is kept are part of the root itself.
    const root = reader.root(size);
    db.exec("BEGIN");
    unguarded("UPDATE subtrees SET hash = zeroblob(32) WHERE level = 8 AND idx = 513");
    expect(reader.root(size).equals(root)).toBe(false);
    db.exec("ROLLBACK");
  });
});
