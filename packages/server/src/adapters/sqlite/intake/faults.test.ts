import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type HoopishError, newAgentId, type RecordDraft, type StoredRecord } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createEvidenceLog } from "../../../evidence/log.ts";
import { Commits } from "../commits.ts";
import { openSqliteStore, type SqliteStore } from "../store.ts";
import { CAN_FAIL_WRITES, failWrites } from "../testing/failing-file.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { DatabaseThreads } from "../threads.ts";
import { packBatch, packedSize } from "../wire.ts";
import { decodeFrame, decodeHead, encodeFrame, HEAD_BYTES, type SegmentHead, segmentKey } from "./format.ts";
import { segmentPaths } from "./recovery.ts";

/** A disk that fails under the intake. */

let folder: string;
let path: string;
const opened: SqliteStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-intake-"));
  path = join(folder, "hoopish.db");
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(at = path): Promise<SqliteStore> {
  const store = await openSqliteStore({ path: at, keys: TEST_KEYS, replica: "gw-1" });
  opened.push(store);
  return store;
}
async function close(store: SqliteStore): Promise<void> {
  opened.splice(opened.indexOf(store), 1);
  await store.close();
}

const TOKEN = "a".repeat(64);
const agent = { id: newAgentId(), name: "edge-1", publicKey: "k", enrolledAtMs: 0, revokedAtMs: undefined };
const noted = (reason: string): RecordDraft => ({ type: "server.stopped", reason });
async function reasons(store: SqliteStore): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, false)) {
    for (const item of batch) {
      const record = JSON.parse(item.kind === "record" ? item.leaf : "{}") as { type: string; reason: string };
      if (record.type === "server.stopped") found.push(record.reason);
    }
  }
  return found;
}
const errorOf = (promise: Promise<unknown>): Promise<HoopishError> =>
  promise.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (error: HoopishError) => error,
  );

/** What a machine that is switched off now would find when it comes back. */
async function imageOf(store: SqliteStore): Promise<string> {
  await reasons(store);
  const image = join(folder, `image-${crypto.randomUUID()}`);
  for (const suffix of ["", "-wal", "-intake-0", "-intake-1"])
    cpSync(path + suffix, join(image, `hoopish.db${suffix}`));
  return join(image, "hoopish.db");
}

interface NewestSegment {
  readonly path: string;
  readonly head: SegmentHead;
  readonly lastSeq: number;
  readonly end: number;
}

/** Where the next batch would be written. */
function newestSegment(): NewestSegment {
  const segments = segmentPaths(path).map((at) => {
    const bytes = readFileSync(at);
    const head = decodeHead(bytes.subarray(0, HEAD_BYTES), TEST_KEYS.vault);
    if (head === undefined) return { path: at, head: { serial: 0, salt: Buffer.alloc(0) }, lastSeq: 0, end: 0 };
    let end = HEAD_BYTES;
    let lastSeq = 0;
    const key = segmentKey(TEST_KEYS.vault, head);
    for (let frame = decodeFrame(bytes, end, key); frame !== undefined; frame = decodeFrame(bytes, end, key)) {
      ({ end, seq: lastSeq } = frame);
    }
    return { path: at, head, lastSeq, end };
  });
  return segments.sort((left, right) => right.head.serial - left.head.serial)[0] as NewestSegment;
}

/** The disk has a whole frame, although whoever wrote it was told that the write had failed. */
function leaveFrame(at: NewestSegment, firstIndex: number, draft: RecordDraft): void {
  const leaves = [{ text: JSON.stringify({ ...draft, time: new Date().toISOString() }), draft, timeMs: Date.now() }];
  const batch = { firstIndex, leaves, rows: [], changes: Buffer.alloc(0) };
  const bytes = Buffer.alloc(packedSize(batch, true));
  const length = packBatch(batch, bytes);
  const key = segmentKey(TEST_KEYS.vault, at.head);
  const frame = Buffer.concat(encodeFrame(at.lastSeq + 1, bytes.subarray(0, length), key));
  const fd = openSync(at.path, "r+");
  writeSync(fd, frame, 0, frame.length, at.end);
}

describe.skipIf(!CAN_FAIL_WRITES)("a disk that takes nothing more", () => {
  test("refuses, says so, and recovers by itself; nothing that was refused is there, all else is", async () => {
    const store = await open();
    await store.log.append([noted("before")]);
    for (const segment of segmentPaths(path)) failWrites(segment);
    const refused = await errorOf(store.log.append([noted("refused")]));
    expect(refused.code).toBe("evidence_unavailable");
    expect(store.log.writable).toBe(false);
    await vi.waitFor(() => expect(store.log.writable).toBe(true), 5_000);
    await store.log.append([noted("after")]);
    const image = await open(await imageOf(store));
    for (const one of [store, image]) expect(await reasons(one)).toEqual(["before", "after"]);
    await close(image);
  });

  test("a batch that was refused never comes into the log, also when the disk has it", async () => {
    const store = await open();
    await store.agents.addToken({ sha256: TOKEN, name: "edge-1", expiresAtMs: 1 });
    await store.log.append([noted("before")]);
    await reasons(store);
    for (const segment of segmentPaths(path)) failWrites(segment);
    const at = newestSegment();
    await errorOf(store.log.append([noted("refused")]));
    leaveFrame(at, 1, noted("refused"));
    // A batch that does not go through the intake takes the place of the refused one in the log.
    await vi.waitFor(() => expect(store.log.writable).toBe(true), 5_000);
    await store.agents.enroll(TOKEN, agent, 0, { ...noted("enrolled") });
    await store.log.append([noted("after")]);
    const image = await open(await imageOf(store));
    for (const one of [store, image]) expect(await reasons(one)).toEqual(["before", "enrolled", "after"]);
    await close(image);
  });

  test("a process that dies right after a write failed starts again, whether the disk has the batch or not", async () => {
    for (const whole of [false, true]) {
      path = join(folder, `${whole}`, "hoopish.db");
      const store = await open();
      await store.log.append([noted("before")]);
      await reasons(store);
      for (const segment of segmentPaths(path)) failWrites(segment);
      const at = newestSegment();
      await errorOf(store.log.append([noted("doubtful")]));
      if (whole) leaveFrame(at, 1, noted("doubtful"));
      const image = await open(await imageOf(store));
      await image.log.append([noted("after")]);
      expect(await reasons(image)).toEqual(whole ? ["before", "doubtful", "after"] : ["before", "after"]);
      await close(image);
    }
  });
});

/** Not even root may write to it, or to put another in its place. @returns false where the file system cannot */
function freeze(at: string, on: boolean): boolean {
  try {
    execFileSync("chattr", [on ? "+i" : "-i", at], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("an intake that cannot be opened", () => {
  test("after the writer's thread was lost: nothing is taken, until it can be opened", async ({ skip }) => {
    const threads = await DatabaseThreads.open({ path, keys: TEST_KEYS });
    const log = createEvidenceLog(await Commits.open(threads, { storePath: path, vaultKey: TEST_KEYS.vault }), {
      replica: "gw-1",
      probeMs: 50,
    });
    await log.append([noted("before")]);
    const [, second] = segmentPaths(path);
    if (!freeze(second, true)) skip("chattr +i does not work here");
    try {
      await threads.lastWriter.close();
      for (let tries = 0; tries < 3; tries++) {
        expect((await errorOf(log.append([noted(`refused ${tries}`)]))).code).toBe("evidence_unavailable");
        expect(log.writable).toBe(false);
      }
    } finally {
      freeze(second, false);
    }
    await vi.waitFor(() => expect(log.writable).toBe(true), 5_000);
    await log.append([noted("after")]);
    await log.close();
    await threads.close();
    const db = new DatabaseSync(path, { readOnly: true });
    const leaves = db.prepare("SELECT leaf FROM records ORDER BY idx").all() as { leaf: Uint8Array }[];
    const records = leaves.map(
      ({ leaf }) => JSON.parse(Buffer.from(leaf).toString()) as StoredRecord & { reason: string },
    );
    expect(records.map(({ reason, src }) => [reason, src.n])).toEqual([
      ["before", 0],
      ["after", 1],
    ]);
    db.close();
  });

  test("at the start: the server says why, and lets go of the store", async ({ skip }) => {
    const store = await open();
    await store.log.append([noted("before")]);
    await close(store);
    const [, second] = segmentPaths(path);
    if (!freeze(second, true)) skip("chattr +i does not work here");
    try {
      const refused = await errorOf(openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1" }));
      expect(refused.code).toBe("evidence_unavailable");
      expect(refused.message).toMatch(/takes no records: .*(EPERM|EACCES)/);
    } finally {
      freeze(second, false);
    }
    // At once: its threads and its lock are gone.
    expect(await reasons(await open())).toEqual(["before"]);
  });
});

test("a store that refuses to open can be opened with what is right, at once", async () => {
  const store = await open();
  await store.log.append([noted("before")]);
  await close(store);
  for (let tries = 0; tries < 2; tries++) {
    const keys = { ...TEST_KEYS, vault: Buffer.alloc(32, "another key") };
    const refused = await errorOf(openSqliteStore({ path, keys, replica: "gw-1" }));
    expect(refused.message).toContain("the vault's key is not the one");
    expect(refused.hint).toContain("vaultKeyFile");
    const right = await open();
    expect(await reasons(right)).toEqual(["before"]);
    await close(right);
  }
});

test("a change behind batches that the database does not take is refused, and holds up nobody", async () => {
  const store = await open();
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  // Durable in the intake, whatever holds the database.
  await store.log.append([noted("durable")]);
  const late = Symbol("late");
  const refused = await Promise.race([
    errorOf(store.agents.addToken({ sha256: TOKEN, name: "edge-1", expiresAtMs: 1 })),
    new Promise((resolve) => setTimeout(resolve, 6_000, late)),
  ]);
  expect(refused).toMatchObject({ code: "evidence_unavailable" });
  expect(await errorOf(store.log.append([noted("refused")]))).toMatchObject({ code: "evidence_unavailable" });
  other.exec("ROLLBACK");
  other.close();
  await vi.waitFor(() => store.agents.addToken({ sha256: "b".repeat(64), name: "edge-1", expiresAtMs: 1 }), 5_000);
  expect(await reasons(store)).toEqual(["durable"]);
});
