import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newCallId, type StoredRecord } from "@hoopish/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createEvidenceLog } from "../../evidence/log.ts";
import { answeredDraft, decidedDraft } from "../../evidence/sample-records.ts";
import { Commits } from "./commits.ts";
import { TEST_KEYS } from "./testing/keys.ts";
import { DatabaseThreads } from "./threads.ts";

let folder: string;
let threads: DatabaseThreads;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-commits-"));
  threads = await DatabaseThreads.open({ path: join(folder, "hoopish.db"), keys: TEST_KEYS });
});
afterEach(async () => {
  await threads.close();
  rmSync(folder, { recursive: true, force: true });
});

const openCommits = (): Promise<Commits> =>
  Commits.open(threads, { storePath: join(folder, "hoopish.db"), vaultKey: TEST_KEYS.vault });

const started = { type: "server.started", version: "1", config: "c" } as const;

async function leaves(): Promise<StoredRecord[]> {
  await (await threads.writer()).ask("writer.settle");
  const { items } = await (await threads.reader()).ask<{ items: { leaf: string }[] }>(
    "reader.exportBatch",
    { sinceMs: 0, untilMs: 8e15, payloads: false },
    undefined,
  );
  return items.map(({ leaf }) => JSON.parse(leaf) as StoredRecord);
}

test("a writer whose thread has ended is started again, and the log goes on where it was", async () => {
  const log = createEvidenceLog(await openCommits(), { replica: "gw-1" });
  const call = newCallId();
  await log.append([started]);
  await log.append([decidedDraft({ call })], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("a") }]);
  const first = threads.lastWriter;
  await first.close();
  await log.append([started]);
  expect(threads.lastWriter === first).toBe(false);
  // A call that was open stays so: its payload goes on under the same key.
  const piece = { call, field: "delivered", seq: 1, bytes: Buffer.from("b"), salt: Buffer.alloc(32) } as const;
  await log.append([answeredDraft({ call })], [piece]);
  expect((await leaves()).map(({ src }) => src.n)).toEqual([0, 1, 2, 3]);
  await log.close();
});

test("of a lost writer one successor is started, whoever asks first", async () => {
  const commits = await openCommits();
  const log = createEvidenceLog(commits, { replica: "gw-1" });
  await log.append([started]);
  await threads.lastWriter.close();
  const [one, two] = await Promise.all([threads.writer(), threads.writer(), commits.settle(), log.append([started])]);
  expect(one === two).toBe(true);
  await log.append([started]);
  expect((await leaves()).map(({ src }) => src.n)).toEqual([0, 1, 2]);
  await log.close();
});

test("a reader whose thread has ended is started again", async () => {
  const log = createEvidenceLog(await openCommits(), { replica: "gw-1" });
  await log.append([started]);
  await (await threads.reader()).close();
  expect(await leaves()).toHaveLength(1);
  await log.close();
});

test("after close nothing is started any more", async () => {
  await threads.close();
  await expect(threads.reader()).rejects.toThrow("closed");
  await expect(threads.writer()).rejects.toThrow("closed");
});

test("the WAL does not grow with what is written", { timeout: 60_000 }, async () => {
  const log = createEvidenceLog(await openCommits(), { replica: "gw-1" });
  const call = newCallId();
  await log.append([decidedDraft({ call })]);
  let seq = 0;
  for (let i = 0; i < 100; i++) {
    // Random, and never the same: what a block compresses away is not written.
    const piece = () => ({ call, field: "request", seq: seq++, bytes: randomBytes(65_536) }) as const;
    const pieces = Array.from({ length: 16 }, piece);
    await Promise.all(pieces.map((piece) => log.append([], [piece])));
  }
  await log.close();
  await (await threads.writer()).ask("writer.settle");
  const [wal, file] = ["-wal", ""].map((suffix) => statSync(join(folder, `hoopish.db${suffix}`)).size) as [
    number,
    number,
  ];
  expect(wal).toBeLessThan(90 * 1024 * 1024);
  expect(wal + file).toBeGreaterThan(100 * 1024 * 1024);
});
