import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ed25519Signer, formatLogKey, newLogKey, parseLogKey, parseVkey } from "@hoopish/protocol";
import { openCheckpoint } from "@hoopish/protocol/tlog";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Checkpoints } from "../checkpoints.ts";
import { type LogKeys, type OpenDatabase, openWriter } from "../database.ts";
import { Query } from "../query.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { packBatch, packedSize } from "../wire.ts";
import { Writer } from "../writer.ts";
import { CheckpointWriter, SIGN_EVERY_MS } from "./checkpoint-writer.ts";
import { TreeReader } from "./tree-reader.ts";

/** The one that signs, on this thread. */
interface Signing {
  readonly path: string;
  readonly open: OpenDatabase;
  readonly writer: Writer;
  readonly signer: CheckpointWriter;
}

const START = 1_795_420_800_000;
let folder: string;
let now = START;
const opened: OpenDatabase[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-signing-"));
  now = START;
});
afterEach(() => {
  for (const { close } of opened.splice(0)) close();
  rmSync(folder, { recursive: true, force: true });
});

function start(name: string, log: LogKeys = TEST_KEYS.log): Signing {
  const path = join(folder, name);
  const open = openWriter({ role: "writer", path, keys: TEST_KEYS });
  opened.push(open);
  const control = new Int32Array(new SharedArrayBuffer(64));
  const writer = new Writer(open.db, TEST_KEYS.vault, new Checkpoints(open.db, control, true));
  const query = new Query(open.db);
  const signer = new CheckpointWriter(writer, query, new TreeReader(query), log, () => now);
  return { path, open, writer, signer };
}
function stop({ open }: Signing): void {
  opened.splice(opened.indexOf(open), 1);
  open.close();
}

function append({ writer }: Signing, ...texts: readonly string[]): void {
  for (const reason of texts) {
    const draft = { type: "server.stopped", reason } as const;
    const leaves = [{ text: JSON.stringify({ reason, time: "2026-11-25T00:00:00.000Z" }), draft, timeMs: now }];
    const batch = { firstIndex: writer.tree.size, leaves, rows: [], changes: Buffer.alloc(0) };
    const bytes = Buffer.alloc(packedSize(batch, true));
    writer.apply([{ seq: undefined, bytes: bytes.subarray(0, packBatch(batch, bytes)) }], true);
  }
}

interface Row {
  readonly size: number;
  readonly note: string;
  readonly root: Uint8Array;
  readonly time: number;
}
/** As another program sees them: what is committed. */
function stored(path: string): Row[] {
  const db = new DatabaseSync(path, { readOnly: true });
  const rows = db.prepare("SELECT size, note, root, time FROM checkpoints ORDER BY size").all() as unknown as Row[];
  db.close();
  return rows;
}
function insider(path: string, sql: string, ...values: (string | number | Uint8Array)[]): void {
  const db = new DatabaseSync(path);
  for (const name of ["checkpoints_keep_update", "checkpoints_keep_delete"]) db.exec(`DROP TRIGGER IF EXISTS ${name}`);
  db.prepare(sql).run(...values);
  db.close();
}
const refusal = (name: string, log?: LogKeys): string => {
  try {
    start(name, log);
  } catch (error) {
    opened.pop()?.close();
    expect((error as { code?: string }).code).toBe("HOOPISH_LOG");
    return (error as Error).message;
  }
  return "not refused";
};

const verifier = parseVkey(ed25519Signer(TEST_KEYS.log.origin, parseLogKey(TEST_KEYS.log.privateKey)).vkey);

describe("a checkpoint", () => {
  test("is of the log as it is, signed, and durable before anybody has it", () => {
    const one = start("a");
    expect(one.signer.last.size).toBe(0);
    expect(stored(one.path).map(({ size }) => size)).toEqual([0]);
    append(one, "1", "2", "3");
    const signed = one.signer.sign();
    expect(stored(one.path).at(-1)).toMatchObject({ size: 3, note: signed.note, time: START });
    const { checkpoint } = openCheckpoint(signed.note, [verifier]);
    expect([checkpoint.size, checkpoint.root]).toEqual([3n, one.writer.tree.root()]);
    expect(checkpoint.origin).toBe(TEST_KEYS.log.origin);
  });

  test("that cannot be kept is given to nobody, and signed again later", () => {
    const one = start("a");
    append(one, "1");
    const other = new DatabaseSync(one.path);
    other.exec("BEGIN IMMEDIATE");
    expect(() => one.signer.sign()).toThrow(/locked/);
    expect(one.signer.last.size).toBe(0);
    expect(one.signer.dueInMs()).toBe(0);
    other.exec("ROLLBACK");
    other.close();
    expect(one.signer.sign().size).toBe(1);
    expect(stored(one.path).map(({ size }) => size)).toEqual([0, 1]);
  });

  test("is the only one of its size, however often it is asked for", () => {
    const one = start("a");
    append(one, "1", "2");
    const signed = one.signer.sign();
    now += 5_000;
    expect(one.signer.sign()).toBe(signed);
    expect(one.signer.signAt(2)).toEqual(signed);
    append(one, "3");
    expect(one.signer.signAt(1).size).toBe(1);
    expect(one.signer.signAt(1)).toEqual(one.signer.signAt(1));
    expect(one.signer.signAt(3)).toEqual(one.signer.sign());
    expect(() => one.signer.signAt(4)).toThrow(/has 3 records/);
    expect(stored(one.path).map(({ size }) => size)).toEqual([0, 1, 2, 3]);
    stop(one);
    const again = start("a");
    expect(again.signer.sign()).toEqual({ ...again.signer.last });
    expect(stored(again.path)).toHaveLength(4);
  });

  test("of an earlier size is not signed over records that were changed since", () => {
    const one = start("a");
    append(one, ...Array.from({ length: 300 }, (_, n) => String(n)));
    one.signer.sign();
    insider(one.path, "DROP TRIGGER records_keep_update");
    insider(one.path, "UPDATE records SET leaf = x'7b7d' WHERE idx = 270");
    expect(() => one.signer.signAt(280)).toThrow(/first 280 records are not those that came in/);
    // Nor what stands before it: the way from there to here leads over it.
    expect(() => one.signer.signAt(269)).toThrow(/first 269 records are not those that came in/);
    expect(stored(one.path).map(({ size }) => size)).toEqual([0, 300]);
  });

  test("is due a second after the last, while there is anything new, also when the clock is set back", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const one = start("a");
      expect(one.signer.dueInMs()).toBeUndefined();
      append(one, "1");
      expect(one.signer.dueInMs()).toBe(SIGN_EVERY_MS);
      now -= 3_600_000;
      expect(one.signer.dueInMs()).toBe(SIGN_EVERY_MS);
      vi.advanceTimersByTime(400);
      expect(one.signer.dueInMs()).toBe(SIGN_EVERY_MS - 400);
      vi.advanceTimersByTime(600);
      expect(one.signer.dueInMs()).toBe(0);
      expect(one.signer.sign()).toMatchObject({ size: 1, timeMs: START - 3_600_000 });
      expect(one.signer.dueInMs()).toBeUndefined();
      append(one, "2");
      vi.advanceTimersByTime(86_400_000);
      expect(one.signer.dueInMs()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("nothing is signed", () => {
  /** Two logs of one key and one beginning, each as its server left it. */
  function twoHistories(): { readonly long: Row; readonly path: string } {
    const long = start("long");
    append(long, "1", "2", "3", "4", "5");
    long.signer.sign();
    stop(long);
    const other = start("other");
    append(other, "1", "2", "3");
    stop(other);
    return { long: stored(long.path).at(-1) as Row, path: other.path };
  }
  const insert = "INSERT INTO checkpoints (size, time, root, note) VALUES (?, ?, ?, ?)";

  test("when more was signed than there is", () => {
    const { long, path } = twoHistories();
    insider(path, insert, long.size, long.time, long.root, long.note);
    expect(refusal("other")).toContain("it holds 3 records, and 5 were signed");
    expect(stored(path).map(({ size }) => size)).toEqual([0, 5]);
  });

  test("when other records were signed than there are", () => {
    const { long, path } = twoHistories();
    const other = start("other");
    append(other, "4", "another one");
    stop(other);
    insider(path, insert, long.size, long.time, long.root, long.note);
    expect(refusal("other")).toContain("its first 5 records are not those that were signed");
  });

  test("when the key is another, or the log's name", () => {
    stop(start("a"));
    const key = { origin: TEST_KEYS.log.origin, privateKey: formatLogKey(newLogKey()) };
    expect(refusal("a", key)).toContain("not signed with the log's key");
    expect(refusal("a", { ...TEST_KEYS.log, origin: "another.example/log" })).toContain(
      "not signed with the log's key",
    );
    expect(start("a").signer.last.size).toBe(0);
  });

  test.each([
    ["its root", "UPDATE checkpoints SET root = zeroblob(32) WHERE size = 2"],
    ["its size", "UPDATE checkpoints SET size = 3 WHERE size = 2"],
    [
      "its note's size",
      "UPDATE checkpoints SET note = replace(note, char(10) || '2' || char(10), char(10) || '3' || char(10)) WHERE size = 2",
    ],
    ["its note", "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 0) WHERE size = 2"],
    ["its signature", "UPDATE checkpoints SET note = replace(note, 'A', 'B') WHERE size = 2"],
  ])("when the newest checkpoint was changed: %s", (_, sql) => {
    const one = start("a");
    append(one, "1", "2");
    one.signer.sign();
    append(one, "3");
    stop(one);
    insider(one.path, sql);
    expect(refusal("a")).toMatch(/not what was signed|not signed with the log's key/);
  });

  test("when a kept node of the tree was changed, whatever it is needed for", () => {
    const one = start("a");
    append(one, ...Array.from({ length: 520 }, (_, n) => String(n)));
    one.signer.sign();
    stop(one);
    insider(one.path, "DROP TRIGGER subtrees_keep_update");
    insider(one.path, "UPDATE subtrees SET hash = zeroblob(32) WHERE level = 8 AND idx = 0");
    expect(refusal("a")).toMatch(/somebody has changed the store|not those that were signed/);
  });
});
