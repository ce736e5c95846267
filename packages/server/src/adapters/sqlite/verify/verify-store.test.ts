import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newCallId, newSessionId } from "@hoopish/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { answeredDraft, closeDraft, decidedDraft, sessionDraft } from "../../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "../store.ts";
import { TEST_KEYS } from "../testing/keys.ts";
import { verifyStore } from "./verify-store.ts";

/** What verify finds is in insider.test.ts; here: that it finds nothing where nothing is wrong. */

let folder: string;
let path: string;
let store: SqliteStore | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-verify-"));
  path = join(folder, "hoopish.db");
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const open = (at = path): Promise<SqliteStore> => openSqliteStore({ path: at, keys: TEST_KEYS, replica: "gw-1" });

/** Calls of several sessions at once, so that ends come in another order than beginnings. */
async function write(to: SqliteStore, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const session = newSessionId();
    await to.log.append([sessionDraft(session)]);
    const calls = Array.from({ length: 40 }, newCallId);
    await Promise.all(calls.map((call) => to.log.append([decidedDraft({ call, session })])));
    await Promise.all(calls.toReversed().map((call) => to.log.append([answeredDraft({ call, session })])));
    await to.log.append([closeDraft(session)]);
  }
}

test("nothing is wrong with a store that is empty, written, closed, or was killed", { timeout: 60_000 }, async () => {
  store = await open();
  expect(verifyStore({ path, keys: TEST_KEYS })).toMatchObject({ records: 0, findings: [] });
  // More than one block of times.
  await write(store, 60);
  await store.log.append([sessionDraft(newSessionId()), decidedDraft({ call: newCallId() })]);
  await store.reader.session(newSessionId());
  const image = join(folder, "image", "hoopish.db");
  for (const suffix of ["", "-wal", "-intake-0", "-intake-1"]) cpSync(path + suffix, image + suffix);
  const whole = verifyStore({ path: image, keys: TEST_KEYS });
  expect(whole).toMatchObject({ records: 60 * 82 + 2, findings: [] });
  expect(whole.checkpoints).toBeGreaterThan(0);
  await store.close();
  store = await open(image);
  await store.close();
  expect(verifyStore({ path: image, keys: TEST_KEYS }).findings).toEqual([]);
  expect(verifyStore({ path, keys: TEST_KEYS })).toMatchObject({ records: 60 * 82 + 2, findings: [] });
  store = undefined;
});

test("beside a server that writes", { timeout: 60_000 }, async () => {
  store = await open();
  const writing = write(store, 40);
  let over = false;
  void writing.then(() => {
    over = true;
  });
  let runs = 0;
  let records = 0;
  while (!over) {
    const verdict = verifyStore({ path, keys: TEST_KEYS });
    expect(verdict.findings).toEqual([]);
    expect(verdict.records).toBeGreaterThanOrEqual(records);
    ({ records } = verdict);
    runs += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await writing;
  expect(runs).toBeGreaterThan(3);
});

test("what cannot be read is a mistake of configuration, and no finding", async () => {
  expect(() => verifyStore({ path, keys: TEST_KEYS })).toThrow(/there is no store/);
  store = await open();
  await write(store, 1);
  const keys = { ...TEST_KEYS, vault: Buffer.alloc(32, "another key") };
  expect(() => verifyStore({ path, keys })).toThrow(/the vault's key is not the one/);
});
