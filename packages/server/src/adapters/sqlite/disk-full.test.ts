import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountSmallDisk, type SmallDisk } from "@hoopish/fixtures/small-disk";
import { type CallId, type HoopishError, newCallId, type StoredRecord } from "@hoopish/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ALL_CALLS } from "../../evidence/all-calls.ts";
import { answeredDraft, decidedDraft, wholePayload } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";
import { verifyStore } from "./verify/verify-store.ts";

/** A disk that is full: the intake has its room beforehand, the database has not. */

const NO_MOUNT = "this process may not mount a file system";
const INTAKE_MIB = 16;

let folder: string;
let path: string;
let disk: SmallDisk | undefined;
const opened: SqliteStore[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-full-"));
  path = join(folder, "disk", "data", "hoopish.db");
});
afterEach(async () => {
  disk?.free();
  for (const store of opened.splice(0)) await store.close();
  disk?.unmount();
  disk = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function mount(mib: number): SmallDisk | undefined {
  disk = mountSmallDisk(join(folder, "disk"), mib);
  return disk;
}
async function open(): Promise<SqliteStore> {
  const store = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1" });
  opened.push(store);
  return store;
}
async function close(store: SqliteStore): Promise<void> {
  opened.splice(opened.indexOf(store), 1);
  await store.close();
}
async function writeCall(store: SqliteStore, bytes: Buffer): Promise<CallId> {
  const call = newCallId();
  const request = wholePayload(call, "request", bytes);
  await store.log.append([decidedDraft({ call }, [request]), answeredDraft({ call })], [request.piece]);
  return call;
}

/** Writes until it is refused. */
async function writeUntilFull(
  store: SqliteStore,
  bytes: number,
): Promise<{ written: Map<CallId, Buffer>; refusal: HoopishError }> {
  const written = new Map<CallId, Buffer>();
  for (;;) {
    const payload = randomBytes(bytes);
    try {
      written.set(await writeCall(store, payload), payload);
    } catch (error) {
      return { written, refusal: error as HoopishError };
    }
  }
}

async function expectAll(store: SqliteStore, written: ReadonlyMap<CallId, Buffer>): Promise<void> {
  const { items } = await store.reader.calls(ALL_CALLS, 10_000, undefined);
  expect(items.map(({ id }) => id).reverse()).toEqual([...written.keys()]);
  for (const [call, payload] of written) {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.reader.payload(call, "request")) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(payload)).toBe(true);
  }
  const numbers = new Map<string, number>();
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, false)) {
    for (const item of batch) {
      const { src } = JSON.parse(item.kind === "record" ? item.leaf : "{}") as StoredRecord;
      expect(src.n).toBe(numbers.get(src.boot) ?? 0);
      numbers.set(src.boot, src.n + 1);
    }
  }
}

test("that fills up while it is written: refused, nothing lost, and it goes on by itself when there is room", async ({
  skip,
}) => {
  const small = mount(INTAKE_MIB + 12);
  if (small === undefined) return skip(NO_MOUNT);
  const store = await open();
  const first = await writeUntilFull(store, 60_000);
  expect(first.refusal.code).toBe("evidence_unavailable");
  expect(first.written.size).toBeGreaterThan(20);
  expect(store.log.writable).toBe(false);
  // Whoever looks into a full disk needs to see what is there.
  expect((await store.reader.calls(ALL_CALLS, 5, undefined)).items.length).toBeGreaterThan(0);
  // A disk that is larger now.
  const { execFileSync } = await import("node:child_process");
  execFileSync("mount", ["-o", "remount,size=128m", small.path]);
  await vi.waitFor(() => expect(store.log.writable).toBe(true), { timeout: 10_000, interval: 50 });
  for (let i = 0; i < 20; i++) {
    const payload = randomBytes(60_000);
    first.written.set(await writeCall(store, payload), payload);
  }
  await expectAll(store, first.written);
  expect((await store.tree.sign()).size).toBe(2 * first.written.size);
  await close(store);
  expect(verifyStore({ path, keys: TEST_KEYS }).findings).toEqual([]);
});

test("that somebody else fills: what the intake took is there after a start, and a start without room says so", async ({
  skip,
}) => {
  // What the intake holds goes through the WAL into the database when there is room again: more than twice its size.
  const small = mount(INTAKE_MIB + 64);
  if (small === undefined) return skip(NO_MOUNT);
  const store = await open();
  const written = new Map<CallId, Buffer>();
  for (let i = 0; i < 5; i++) {
    const payload = randomBytes(10_000);
    written.set(await writeCall(store, payload), payload);
  }
  await store.reader.calls(ALL_CALLS, 1, undefined);
  small.fill();
  // The intake's room was taken beforehand: some more is durable there, and no more than that.
  const last = await writeUntilFull(store, 200_000);
  expect(last.refusal.code).toBe("evidence_unavailable");
  for (const [call, payload] of last.written) written.set(call, payload);
  expect(last.written.size).toBeGreaterThan(0);
  await close(store);

  const refused = await open().catch((error: HoopishError) => error);
  expect(refused).toMatchObject({ message: expect.stringMatching(/full|ENOSPC/) });
  small.free();
  const again = await open();
  expect(again.recovered.records).toBeGreaterThan(0);
  for (const call of last.written.keys()) expect(await again.reader.call(call)).toBeDefined();
  await writeCall(again, Buffer.from("x")).then((call) => written.set(call, Buffer.from("x")));
  await expectAll(again, written);
  expect(verifyStore({ path, keys: TEST_KEYS }).findings).toEqual([]);
});

test("that has no room for a store at all", async ({ skip }) => {
  const small = mount(INTAKE_MIB + 4);
  if (small === undefined) return skip(NO_MOUNT);
  for (const mib of [1, 10]) {
    // Room for the database, and not for the intake beside it.
    const { execFileSync } = await import("node:child_process");
    execFileSync("mount", ["-o", `remount,size=${mib}m`, small.path]);
    const refused = await open().catch((error: HoopishError) => error);
    expect(refused).toMatchObject({ code: expect.stringMatching(/evidence_unavailable|configuration/) });
    expect((refused as HoopishError).message).toMatch(/full|ENOSPC/);
    execFileSync("mount", ["-o", `remount,size=${INTAKE_MIB + 8}m`, small.path]);
  }
  const store = await open();
  await writeCall(store, Buffer.from("x"));
  expect((await store.reader.calls(ALL_CALLS, 5, undefined)).items).toHaveLength(1);
});
