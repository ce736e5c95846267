import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CallId, formatLogKey, newCallId, newLogKey, type RecordActor } from "@hoopish/protocol";
import { verifyBundle } from "@hoopish/protocol/bundle";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type BundleExport,
  type BundlePorts,
  type BundleRequest,
  beginExport,
  resumeExport,
} from "../../evidence/bundle/export.ts";
import { writeBundle } from "../../evidence/bundle/write-bundle.ts";
import { actorNamed, answeredDraft, decidedDraft, wholePayload } from "../../evidence/sample-records.ts";
import { fileSpools } from "../files/spool.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

/** Bundles of a real store, read by the verifier, which knows nothing of it. */

let folder: string;
let store: SqliteStore;
let ports: BundlePorts;
let nowMs: number;
const auditor = actorNamed("audit@bank.example");

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-bundle-"));
  nowMs = Date.now();
  const path = join(folder, "hoopish.db");
  store = await openSqliteStore({ path, keys: TEST_KEYS, replica: "gw-1", clock: () => nowMs });
  ports = {
    log: store.log,
    reader: store.reader,
    tree: store.tree,
    receipts: async () => new Map(),
    openSpool: fileSpools(folder),
    version: "0.1.0",
  };
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function writeCall(answer: Buffer, connection = "model-x", user = "scientist@bank.example"): Promise<CallId> {
  const call = newCallId();
  const request = wholePayload(call, "request", Buffer.from(`request of ${call}`));
  await store.log.append([decidedDraft({ call, connection, user }, [request])], [request.piece]);
  const delivered = wholePayload(call, "delivered", answer);
  await store.log.append([answeredDraft({ call, connection, user }, [delivered])], [delivered.piece]);
  return call;
}

const NO_FILTER = {
  types: undefined,
  user: undefined,
  connection: undefined,
  session: undefined,
  call: undefined,
  sinceMs: undefined,
  untilMs: undefined,
};

const request = (more: Partial<BundleRequest> = {}): BundleRequest => ({
  actor: auditor,
  sinceMs: 0,
  untilMs: nowMs,
  payloads: true,
  filters: {},
  ...more,
});

async function bytesOf(made: BundleExport, fromOffset = 0): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeBundle(made.source, { fromOffset })) chunks.push(chunk);
  await made.close();
  return Buffer.concat(chunks);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
const verify = (bundle: Buffer, key = store.tree.vkey) => verifyBundle(once(bundle), { keys: [key] });

test("a bundle of everything verifies, payloads large and small, with every record", async () => {
  for (let i = 0; i < 300; i++) await writeCall(Buffer.from(`answer ${i}`));
  await writeCall(Buffer.alloc(3_000_000, "a large answer; "));
  await writeCall(Buffer.alloc(0));
  const report = await verify(await bytesOf(await beginExport(request(), ports)));
  expect(report.findings).toEqual([]);
  expect(report.verdict).toBe("verified");
  expect(report.counts.records).toBe(2 * 302 + 1);
  expect(report.counts.payloads).toMatchObject({ PRESENT_OK: 2 * 302, MISSING: 0 });
  expect(report.requester?.name).toBe("audit@bank.example");
});

test("begins at the last checkpoint before its time, and is the next one's beginning", async () => {
  await writeCall(Buffer.from("before"));
  const first = await store.tree.sign();
  nowMs = Math.max(nowMs, first.timeMs) + 1;
  const since = nowMs;
  await writeCall(Buffer.from("after"));
  const made = await beginExport(request({ sinceMs: since }), ports);
  expect(made.source.scope).toMatchObject({ start: first.size, end: first.size + 3 });
  expect((await verify(await bytesOf(made))).verdict).toBe("verified");
});

test("can be made again from any byte, by whoever asked for it and nobody else", async () => {
  for (let i = 0; i < 50; i++) await writeCall(Buffer.from(`answer ${i}`));
  const made = await beginExport(request(), ports);
  const whole = await bytesOf(made);
  await writeCall(Buffer.from("later"));
  for (const offset of [0, 1, 5_000, whole.length - 1]) {
    const again = await resumeExport(made.index, auditor, ports);
    expect((await bytesOf(again, offset)).equals(whole.subarray(offset))).toBe(true);
  }
  const other: RecordActor = { ...auditor, sub: "somebody else" };
  for (const [index, actor] of [
    [made.index, other],
    [0, auditor],
    [10_000, auditor],
    [-1, auditor],
  ] as const) {
    await expect(resumeExport(index, actor, ports)).rejects.toMatchObject({ code: "not_found" });
  }
});

test("ends with its own record also when others are written meanwhile", async () => {
  let writing = true;
  const others = (async () => {
    while (writing) await writeCall(Buffer.from("meanwhile"));
  })();
  for (let i = 0; i < 5; i++) {
    const report = await verify(await bytesOf(await beginExport(request(), ports)));
    expect(report.findings).toEqual([]);
    expect(report.verdict).toBe("verified");
  }
  writing = false;
  await others;
});

test("with a filter, every record is in, and what is withheld is named", async () => {
  await writeCall(Buffer.from("a"), "model-x");
  await writeCall(Buffer.from("b"), "model-y");
  const made = await beginExport(request({ filters: { connection: "model-y" } }), ports);
  const report = await verify(await bytesOf(made));
  expect(report.verdict).toBe("verified");
  expect(report.counts).toMatchObject({ records: 5, payloads: { PRESENT_OK: 2, WITHHELD: 2 } });
  const none = await verify(await bytesOf(await beginExport(request({ payloads: false }), ports)));
  expect(none.counts.payloads).toMatchObject({ PRESENT_OK: 0, WITHHELD: 4 });
});

test("after a change of key the log goes on, says so, and is verified with both keys", async () => {
  await writeCall(Buffer.from("before"));
  const old = store.tree.vkey;
  await store.close();
  const path = join(folder, "hoopish.db");
  const privateKey = formatLogKey(newLogKey());
  const changed = (previous: readonly string[]) =>
    openSqliteStore({
      path,
      keys: { ...TEST_KEYS, log: { ...TEST_KEYS.log, privateKey, previous } },
      replica: "gw-1",
      clock: () => nowMs,
    });
  await expect(changed([])).rejects.toThrow(/previousKeys/);
  store = await changed([old]);
  ports = { ...ports, log: store.log, reader: store.reader, tree: store.tree };
  await writeCall(Buffer.from("after"));
  const bundle = await bytesOf(await beginExport(request(), ports));
  const report = await verifyBundle(once(bundle), { keys: [store.tree.vkey, old] });
  expect(report.findings).toEqual([]);
  expect(report.verdict).toBe("verified");
  expect(report.counts.records).toBe(6);
  const { items } = await store.reader.search({ ...NO_FILTER, types: ["key.rotated"] }, 10, undefined);
  expect(items.map(({ leaf }) => JSON.parse(leaf))).toMatchObject([{ key: store.tree.vkey, previous: old }]);
  // Once: the next start finds its own key's signature.
  await store.close();
  store = await changed([old]);
  expect((await store.reader.search({ ...NO_FILTER, types: ["key.rotated"] }, 10, undefined)).items).toHaveLength(1);
});

test("another log's key does not verify it", async () => {
  await writeCall(Buffer.from("a"));
  const bundle = await bytesOf(await beginExport(request(), ports));
  const foreign = "gateway.bank.example/hoopish+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
  const report = await verify(bundle, foreign).catch((error: Error) => error.message);
  expect(typeof report === "string" ? report : report.verdict).not.toBe("verified");
});
