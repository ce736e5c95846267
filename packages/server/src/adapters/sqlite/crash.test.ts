import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { type CallId, type StoredRecord, verifyCommitment } from "@hoopish/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

/** Writes calls as fast as it can, many at a time, and says of each append when its promise has resolved. */
const WRITER = `
  import { Committer, newCallId } from "@hoopish/protocol";
  const { openSqliteStore } = await import(process.env.STORE);
  const { decidedDraft, answeredDraft, sessionDraft, wholePayload } = await import(process.env.SAMPLES);
  const { TEST_KEYS } = await import(process.env.KEYS);
  const store = await openSqliteStore({ path: process.env.DB, keys: TEST_KEYS, replica: "gw-1" });
  const say = (line) => process.stdout.write(line + "\\n");
  const lane = async (number) => {
    for (let i = 0; ; i++) {
      const call = newCallId();
      const request = wholePayload(call, "request", Buffer.from("request of " + call));
      await store.log.append([decidedDraft({ call }, [request])], [request.piece]);
      say("decided " + call);
      const committer = new Committer();
      let length = 0;
      for (let seq = 0; seq < 4; seq++) {
        const bytes = Buffer.from(call + " " + seq + ";" + "x".repeat(i % 5 === 0 ? 20000 : 10) + "\\n");
        committer.update(bytes);
        length += bytes.length;
        await store.log.append([], [{ call, field: "delivered", seq, bytes }]);
        say("delivered " + call + " " + length);
      }
      const last = { call, field: "delivered", seq: 4, bytes: Buffer.alloc(0), salt: committer.salt };
      const draft = { ...answeredDraft({ call }), payloads: { delivered: committer.finish() } };
      await store.log.append([draft], [last]);
      say("answered " + call);
    }
  };
  say("open " + JSON.stringify(store.recovered));
  for (let number = 0; number < 8; number++) lane(number);
`;

interface Acknowledged {
  readonly decided: Set<CallId>;
  readonly answered: Set<CallId>;
  /** Bytes of the answer. */
  readonly delivered: Map<CallId, number>;
}

const folder = { path: "" };
beforeEach(() => {
  folder.path = mkdtempSync(join(tmpdir(), "hoopish-crash-"));
});
afterEach(() => rmSync(folder.path, { recursive: true, force: true }));

/** Runs the writer, and kills it without warning when it has acknowledged `acks` appends. */
function runAndKill(db: string, acks: number): Promise<Acknowledged> {
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  const file = (path: string): string => new URL(path, import.meta.url).href;
  const child = spawn(
    process.execPath,
    ["--conditions=@hoopish/source", "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", WRITER],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        DB: db,
        STORE: file("./store.ts"),
        SAMPLES: file("../../evidence/sample-records.ts"),
        KEYS: file("./testing/keys.ts"),
      },
    },
  );
  return new Promise((resolve, reject) => {
    let said = "";
    let lines = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      lines += chunk.toString().split("\n").length - 1;
      if (lines > acks) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", (_, signal) => {
      if (signal === "SIGKILL") resolve(acknowledged(said));
      else reject(new Error("the writer ended by itself"));
    });
  });
}

function acknowledged(said: string): Acknowledged {
  const all: Acknowledged = { decided: new Set(), answered: new Set(), delivered: new Map() };
  // What follows the last line end was cut off in the middle.
  for (const line of said.split("\n").slice(0, -1)) {
    const [what, call, bytes] = line.split(" ") as [string, CallId, string];
    if (what === "decided") all.decided.add(call);
    else if (what === "answered") all.answered.add(call);
    else if (what === "delivered") all.delivered.set(call, Number(bytes));
  }
  return all;
}

async function payload(store: SqliteStore, call: CallId, field: "request" | "delivered"): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.reader.payload(call, field)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function checkCall(store: SqliteStore, call: CallId, acks: Acknowledged): Promise<void> {
  const story = await store.reader.call(call);
  expect(story?.call.id).toBe(call);
  expect((await payload(store, call, "request")).toString()).toBe(`request of ${call}`);
  const delivered = await payload(store, call, "delivered");
  expect(delivered.length).toBeGreaterThanOrEqual(acks.delivered.get(call) ?? 0);
  const ends = delivered.toString().split("\n").slice(0, -1);
  expect(ends.map((line) => line.slice(0, line.indexOf(";")))).toEqual(ends.map((_, seq) => `${call} ${seq}`));
  const ended = JSON.parse(story?.records.at(-1)?.leaf ?? "{}") as StoredRecord;
  if (acks.answered.has(call)) expect(ended.type).toBe("call.answered");
  if (ended.type === "call.interrupted") expect(ended.delivered).toBe(delivered.length);
  else expect(story?.payloads).toContainEqual({ field: "delivered", bytes: delivered.length, state: "complete" });
}

test("kill -9 loses nothing that was acknowledged, three times over", { timeout: 120_000 }, async () => {
  const db = join(folder.path, "hoopish.db");
  const decided = new Set<CallId>();
  for (const count of [100, 777, 3_000]) {
    const acks = await runAndKill(db, count);
    expect(acks.answered.size).toBeGreaterThan(0);
    const store = await openSqliteStore({ path: db, keys: TEST_KEYS, replica: "gw-1" });
    for (const call of acks.decided) await checkCall(store, call, acks);
    for (const call of acks.decided) decided.add(call);
    await checkLog(store, decided);
    await store.close();
  }
  const raw = new DatabaseSync(db, { readOnly: true });
  expect(raw.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(raw.prepare("SELECT count(*) AS open FROM calls WHERE ended IS NULL").get()).toEqual({ open: 0 });
  raw.close();
});

/** Indexes and every boot's numbers without a gap; every commitment opens; every call that was decided has ended. */
async function checkLog(store: SqliteStore, decided: ReadonlySet<CallId>): Promise<void> {
  let next = 0;
  const numbers = new Map<string, number>();
  const commitments = new Map<string, { c: string; len: number }>();
  const ended = new Set<string>();
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, true)) {
    for (const item of batch) {
      if (item.kind === "payload") {
        const commitment = commitments.get(`${item.call} ${item.field}`);
        if (item.salt === undefined) expect(commitment).toBeUndefined();
        else if (item.length === item.bytes.length)
          expect(verifyCommitment(commitment ?? { c: "", len: 0 }, item.salt, item.bytes)).toBe(true);
        continue;
      }
      if (item.kind === "gone") throw new Error(`${item.call} ${item.field} is not there`);
      expect(item.index).toBe(next++);
      const record = JSON.parse(item.leaf) as StoredRecord & { payloads?: Record<string, { c: string; len: number }> };
      expect(record.src.n).toBe(numbers.get(record.src.boot) ?? 0);
      numbers.set(record.src.boot, record.src.n + 1);
      for (const [field, commitment] of Object.entries(record.payloads ?? {}))
        commitments.set(`${record.call} ${field}`, commitment);
      if (record.type === "call.answered" || record.type === "call.interrupted") ended.add(record.call ?? "");
    }
  }
  expect([...decided].filter((call) => !ended.has(call))).toEqual([]);
}
