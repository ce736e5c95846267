/**
 * Measures the evidence store alone: `npm run bench:evidence -w packages/server [-- calls|latency|bulk|list|export|purge …]`.
 * The database is made in a folder of its own under the system's temporary folder (TMPDIR), and removed.
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type CallId, Committer, newCallId, newSessionId, type RecordDraft, type SessionId } from "@hoopish/protocol";
import { verifyBundle } from "@hoopish/protocol/bundle";
import { fileSpools } from "../src/adapters/files/spool.ts";
import { openSqliteStore, type SqliteStore } from "../src/adapters/sqlite/store.ts";
import { TEST_KEYS } from "../src/adapters/sqlite/testing/keys.ts";
import { ALL_CALLS } from "../src/evidence/all-calls.ts";
import { beginExport } from "../src/evidence/bundle/export.ts";
import { writeBundle } from "../src/evidence/bundle/write-bundle.ts";
import type { CallFilter, PayloadPiece, RecordFilter } from "../src/evidence/port.ts";
import { Retention } from "../src/evidence/retention/retention.ts";

const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ISSUER = "https://login.bank.example";
const BODY = Buffer.alloc(300, "The quick brown fox jumps over the lazy dog. ");
const folder = mkdtempSync(join(tmpdir(), "hoopish-bench-"));
const out = (line: string): void => void process.stdout.write(`${line}\n`);

interface Caller {
  readonly actor: NonNullable<RecordDraft["actor"]>;
  readonly session: SessionId;
  readonly connection: string;
}

const callers = (count: number): Caller[] =>
  Array.from({ length: count }, (_, i) => ({
    actor: {
      sub: `00u${i}`,
      iss: ISSUER,
      name: `user${i % 200}@bank.example`,
      groups_hash: HASH,
      kind: "human",
      amr: ["mfa"],
    },
    session: newSessionId(),
    connection: `model-${i % 10}`,
  }));

function committed(call: CallId, field: PayloadPiece["field"], bytes: Buffer) {
  const committer = new Committer();
  committer.update(bytes);
  const piece: PayloadPiece = { call, field, seq: 0, bytes, salt: committer.salt };
  return { piece, commitment: committer.finish() };
}

const decided = ({ actor, session, connection }: Caller, call: CallId, verdict: "allow" | "block"): RecordDraft => ({
  type: "call.decided",
  actor,
  session,
  call,
  connection,
  protocol: "http",
  method: "POST",
  path: "/v1/chat/completions",
  operation: { kind: "chat", model: "llama-3-8b" },
  verdict,
  rule: "scientists",
  policy: HASH,
});

const answered = ({ actor, session, connection }: Caller, call: CallId): RecordDraft => ({
  type: "call.answered",
  actor,
  session,
  call,
  connection,
  status: 200,
  duration_ms: 123,
  bytes: { request: BODY.length, delivered: BODY.length },
  tokens: { input: 20, output: 30 },
  outcome: "complete",
});

/** A call whose model answers at once, as the relay writes it by default: nothing waits for the decision's record alone. */
async function quickCall(store: SqliteStore, caller: Caller): Promise<void> {
  const call = newCallId();
  const request = committed(call, "request", BODY);
  const first = store.log.append(
    [{ ...decided(caller, call, "allow"), payloads: { request: request.commitment } } as RecordDraft],
    [request.piece],
    "soon",
  );
  await new Promise((resolve) => setImmediate(resolve));
  const delivered = committed(call, "delivered", BODY);
  const last = store.log.append(
    [{ ...answered(caller, call), payloads: { delivered: delivered.commitment } } as RecordDraft],
    [delivered.piece],
  );
  await Promise.all([first, last]);
}

/** A call whose decision is durable before its model is asked: two appends, one after the other. */
async function oneCall(store: SqliteStore, caller: Caller, verdict: "allow" | "block" = "allow"): Promise<void> {
  const call = newCallId();
  const request = committed(call, "request", BODY);
  await store.log.append(
    [{ ...decided(caller, call, verdict), payloads: { request: request.commitment } } as RecordDraft],
    [request.piece],
  );
  const delivered = committed(call, "delivered", BODY);
  await store.log.append(
    [{ ...answered(caller, call), payloads: { delivered: delivered.commitment } } as RecordDraft],
    [delivered.piece],
  );
}

interface Cost {
  readonly seconds: number;
  readonly mainUs: number;
  readonly otherUs: number;
}

async function measured(work: () => Promise<void>): Promise<Cost> {
  const all = process.cpuUsage();
  const main = process.threadCpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const mainNow = process.threadCpuUsage(main);
  const allNow = process.cpuUsage(all);
  const mainUs = mainNow.user + mainNow.system;
  return { seconds, mainUs, otherUs: allNow.user + allNow.system - mainUs };
}

const open = (name: string): Promise<SqliteStore> =>
  openSqliteStore({
    path: name === ":memory:" ? name : join(folder, `${name}.db`),
    replica: "bench-1",
    keys: TEST_KEYS,
  });
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.floor((sorted.length - 1) * share)] as number;
const rss = (): string => `${(process.memoryUsage().rss / 1048576).toFixed(0)} MiB`;

/** What the disk takes for the same: a few pages written over, and made durable. µs, sorted. */
function rawWrites(): number[] {
  const file = openSync(join(folder, "raw"), "w");
  const pages = Buffer.alloc(3 * 8_192);
  const times: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    const start = performance.now();
    writeSync(file, pages, 0, pages.length, (i % 200) * pages.length);
    fdatasyncSync(file);
    if (i >= 1_000) times.push((performance.now() - start) * 1000);
  }
  closeSync(file);
  return times.sort((a, b) => a - b);
}

async function latency(): Promise<void> {
  const raw = rawWrites();
  const store = await open("latency");
  const [caller] = callers(1) as [Caller];
  for (let i = 0; i < 500; i++) await oneCall(store, caller);
  const times: number[] = [];
  for (let i = 0; i < 5_000; i++) {
    const call = newCallId();
    const request = committed(call, "request", BODY);
    const draft = { ...decided(caller, call, "allow"), payloads: { request: request.commitment } } as RecordDraft;
    const start = performance.now();
    await store.log.append([draft], [request.piece]);
    times.push((performance.now() - start) * 1000);
    await store.log.append([answered(caller, call)]);
  }
  times.sort((a, b) => a - b);
  out(
    `latency   one append, concurrency 1: p50 ${at(times, 0.5).toFixed(0)} p99 ${at(times, 0.99).toFixed(0)} µs; ` +
      `24 KiB written and synced: p50 ${at(raw, 0.5).toFixed(0)} p99 ${at(raw, 0.99).toFixed(0)} µs`,
  );
  await store.close();
}

async function calls(concurrency: number, total: number, kind: "calls" | "quick" | "memory"): Promise<void> {
  const store = await open(kind === "memory" ? ":memory:" : `${kind}-${concurrency}`);
  const one = kind === "quick" ? quickCall : oneCall;
  const who = callers(100);
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < total) await one(store, who[started++ % who.length] as Caller);
  };
  // The first thousands warm up the compiler and the caches.
  const warm = Math.min(5_000, total / 4);
  started = total - warm;
  await Promise.all(Array.from({ length: concurrency }, lane));
  started = 0;

  const cost = await measured(async () => {
    await Promise.all(Array.from({ length: concurrency }, lane));
  });
  out(
    `${kind.padEnd(9)} concurrency ${concurrency}: ${(total / cost.seconds).toFixed(0)} calls/s, ` +
      `${((2 * total) / cost.seconds).toFixed(0)} records/s; CPU a call: main ${(cost.mainUs / total).toFixed(1)} µs, ` +
      `store ${(cost.otherUs / total).toFixed(1)} µs; RSS ${rss()}`,
  );
  await store.close();
}

async function bulk(pieceKiB: number, totalMiB: number, window: number): Promise<void> {
  const store = await open(`bulk-${pieceKiB}`);
  const [caller] = callers(1) as [Caller];
  const call = newCallId();
  await store.log.append([decided(caller, call, "allow")]);
  const bytes = Buffer.alloc(pieceKiB * 1024, 7);
  const pieces = (totalMiB * 1024) / pieceKiB;
  const times: number[] = [];
  let seq = 0;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const lane = async (): Promise<void> => {
    while (seq < pieces) {
      const start = performance.now();
      await store.log.append([], [{ call, field: "delivered", seq: seq++, bytes }]);
      times.push(performance.now() - start);
    }
  };
  const cost = await measured(async () => {
    await Promise.all(Array.from({ length: window }, lane));
  });
  clearInterval(watch);
  times.sort((a, b) => a - b);
  const cpu = (us: number): string => (us / 1000 / totalMiB).toFixed(2);
  out(
    `bulk      ${pieceKiB} KiB pieces, ${window} in flight: ${(totalMiB / cost.seconds).toFixed(0)} MiB/s; CPU a MiB: ` +
      `main ${cpu(cost.mainUs)} ms, store ${cpu(cost.otherUs)} ms; append p50 ${at(times, 0.5).toFixed(1)} ` +
      `p99 ${at(times, 0.99).toFixed(1)} max ${at(times, 1).toFixed(0)} ms; most RSS ${(most / 1048576).toFixed(0)} MiB`,
  );
  await store.close();
}

/** Beside the calls: sessions that open and close, auditors that search, and here and there a call that ends long after. */
class Others {
  readonly #store: SqliteStore;
  readonly #open: { readonly caller: Caller; readonly call: CallId }[] = [];

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  async sessions(who: readonly Caller[]): Promise<void> {
    const facts = { rule: "scientists", host: "laptop-7", client: "hoopish/0.1.0" };
    await this.#store.log.append(
      who.map(({ actor, session, connection }) => ({ type: "session.open", actor, session, connection, ...facts })),
    );
  }

  async beside(call: number, caller: Caller): Promise<void> {
    const { actor } = caller;
    if (call % 50 === 0) {
      await this.#store.log.append([{ type: "audit.searched", actor, query: { since: "24h" }, results: 50 }]);
    }
    if (call % 997 === 0) {
      const late = newCallId();
      await this.#store.log.append([decided(caller, late, "allow")]);
      this.#open.push({ caller, call: late });
      const ended = this.#open.length > 20 ? this.#open.shift() : undefined;
      if (ended !== undefined) await this.#store.log.append([answered(ended.caller, ended.call)]);
    }
  }
}

async function list(total: number): Promise<void> {
  const store = await open("list");
  const who = callers(2_000);
  const others = new Others(store);
  const start = performance.now();
  await others.sessions(who);
  for (let done = 0; done < total; done += 500) {
    await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const caller = who[(done * 7 + i * 13) % who.length] as Caller;
        await oneCall(store, caller, (done + i) % 50_000 === 0 ? "block" : "allow");
        await others.beside(done + i, caller);
      }),
    );
  }
  const nowMs = Date.now();
  out(
    `list      ${total} calls written in ${((performance.now() - start) / 1000).toFixed(0)} s, ` +
      `file ${(statSync(join(folder, "list.db")).size / 1048576).toFixed(0)} MiB, RSS ${rss()}`,
  );
  const middle = nowMs - (performance.now() - start) / 2;
  await lists(store, who, middle);
  await searches(store, who, middle);
  await store.close();
}

async function lists(store: SqliteStore, who: readonly Caller[], middle: number): Promise<void> {
  const filters: Readonly<Record<string, Partial<CallFilter>>> = {
    everything: {},
    user: { user: "user17@bank.example" },
    "user and connection": { user: "user17@bank.example", connection: "model-7" },
    "user never on connection": { user: "user17@bank.example", connection: "model-1" },
    connection: { connection: "model-3" },
    blocked: { verdict: "block" },
    "blocked on a connection": { verdict: "block", connection: "model-0" },
    held: { verdict: "hold" },
    session: { session: (who[17] as Caller).session },
    "blocked in a session": { session: (who[17] as Caller).session, verdict: "block" },
    "before the middle": { untilMs: middle },
    "blocked before the middle": { untilMs: middle, verdict: "block" },
    "user before the middle": { untilMs: middle, user: "user17@bank.example" },
    "one second in the middle": { sinceMs: middle, untilMs: middle + 1000, connection: "model-4" },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await pages("list", name, (cursor) => store.reader.calls({ ...ALL_CALLS, ...filter }, 50, cursor));
  }
}

async function searches(store: SqliteStore, who: readonly Caller[], middle: number): Promise<void> {
  const none = {
    types: undefined,
    user: undefined,
    connection: undefined,
    session: undefined,
    call: undefined,
    sinceMs: undefined,
    untilMs: undefined,
  };
  const user = "user17@bank.example";
  const filters: Readonly<Record<string, Partial<RecordFilter>>> = {
    everything: {},
    "decided calls": { types: ["call.decided"] },
    "ended calls": { types: ["call.answered"] },
    "ended calls of a user": { types: ["call.answered"], user },
    "ended calls of a connection": { types: ["call.answered"], connection: "model-3" },
    "audit.searched": { types: ["audit.searched"] },
    "audit.searched of a user": { types: ["audit.searched"], user: "user50@bank.example" },
    "sessions and searches": { types: ["session.open", "session.close", "audit.searched"] },
    "a type that nothing has": { types: ["retention.purged"] },
    "all of a user": { user },
    "all of a connection": { connection: "model-3" },
    "all of a session": { session: (who[17] as Caller).session },
    "before the middle": { untilMs: middle },
    "ended calls before the middle": { untilMs: middle, types: ["call.answered"] },
    "all of a user before the middle": { untilMs: middle, user },
    "one second in the middle": { sinceMs: middle, untilMs: middle + 1000, user },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await pages("search", name, (cursor) => store.reader.search({ ...none, ...filter }, 50, cursor));
  }
  const { items } = await store.reader.calls(
    { ...none, user, verdict: undefined, sinceMs: undefined, untilMs: middle },
    50,
    undefined,
  );
  let next = 0;
  await pages("search", "one call", () => {
    const call = items[next++ % items.length]?.id;
    return store.reader.search({ ...none, call }, 50, undefined);
  });
}

/** 40 pages one after another, from the newest on: the wait for each, and the CPU that it took, all threads together. */
async function pages(
  what: string,
  name: string,
  ask: (
    cursor: string | undefined,
  ) => Promise<{ readonly items: readonly unknown[]; readonly next: string | undefined }>,
): Promise<void> {
  const times: number[] = [];
  const cpu: number[] = [];
  let cursor: string | undefined;
  let found = 0;
  for (let i = 0; i < 40; i++) {
    const begin = performance.now();
    const used = process.cpuUsage();
    const page = await ask(cursor);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / 1000);
    times.push(performance.now() - begin);
    cursor = page.next;
    found += page.items.length;
  }
  for (const all of [times, cpu]) all.sort((a, b) => a - b);
  out(
    `${what.padEnd(9)} ${name}: p50 ${at(times, 0.5).toFixed(1)} p95 ${at(times, 0.95).toFixed(1)} ` +
      `max ${at(times, 1).toFixed(1)} ms; CPU p50 ${at(cpu, 0.5).toFixed(1)} p95 ${at(cpu, 0.95).toFixed(1)} ms (${found})`,
  );
}

/** A bundle of everything, with and without payloads, and its verification. */
async function exported(records: number): Promise<void> {
  const store = await open("export");
  const who = callers(2_000);
  const calls = records / 2;
  for (let done = 0; done < calls; done += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => oneCall(store, who[(done + i) % who.length] as Caller)));
  }
  const file = join(folder, "export.tar.gz");
  const actor = callers(1)[0]?.actor as Caller["actor"];
  const growth = statSync(join(folder, "export.db")).size / calls;
  out(`growth    ${growth.toFixed(0)} bytes of database a call (${2 * BODY.length} of them its payloads)`);
  for (const payloads of [false, true]) {
    const ports = {
      log: store.log,
      reader: store.reader,
      tree: store.tree,
      receipts: async () => new Map(),
      openSpool: fileSpools(folder),
      version: "bench",
    };
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 50);
    const made = await beginExport({ actor, sinceMs: 0, untilMs: Date.now(), payloads, filters: {} }, ports);
    const cost = await measured(async () => {
      await pipeline(writeBundle(made.source), createWriteStream(file));
    });
    await made.close();
    clearInterval(watch);
    const { start, end } = made.source.scope;
    out(
      `export    ${end - start} records ${payloads ? "with" : "without"} payloads: ${cost.seconds.toFixed(1)} s, ` +
        `${(statSync(file).size / 1048576).toFixed(0)} MiB; CPU main ${(cost.mainUs / 1e6).toFixed(1)} s, ` +
        `other threads ${(cost.otherUs / 1e6).toFixed(1)} s; most RSS ${(most / 1048576).toFixed(0)} MiB`,
    );
    const begin = performance.now();
    const report = await verifyBundle(createReadStream(file), { keys: [store.tree.vkey] });
    const seconds = (performance.now() - begin) / 1000;
    out(`verify    ${report.verdict} in ${seconds.toFixed(1)} s: ${((end - start) / seconds).toFixed(0)} records/s`);
  }
  await store.close();
}

const DAY_MS = 86_400_000;

/** A month of `total` calls, of which `held` in a hundred stay, is purged while others go on calling. */
async function purge(total: number, held: number): Promise<void> {
  let nowMs = Date.parse("2026-01-15T00:00:00.000Z");
  const path = join(folder, "purge.db");
  const store = await openSqliteStore({ path, replica: "bench-1", keys: TEST_KEYS, clock: () => nowMs });
  const who = callers(200);
  for (let done = 0; done < total; done += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => oneCall(store, who[(done + i) % who.length] as Caller)));
  }
  for (const { actor } of who.slice(0, 2 * held)) {
    const filters = { user: actor.name };
    await store.retention.place({ reason: "bench", filters }, { by: "bench" });
  }
  nowMs = Date.parse("2026-06-15T00:00:00.000Z");
  const times: number[] = [];
  let calling = true;
  const lane = async (): Promise<void> => {
    while (calling) {
      const call = newCallId();
      const start = performance.now();
      await store.log.append(
        [decided(who[0] as Caller, call, "allow")],
        [{ call, field: "request", seq: 0, bytes: BODY }],
      );
      times.push(performance.now() - start);
      await store.log.append([answered(who[0] as Caller, call)]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const lanes = [0, 1, 2, 3, 4, 5, 6, 7].map(lane);
  const measure = async (name: string, work: () => Promise<string>): Promise<void> => {
    times.length = 0;
    const start = performance.now();
    const told = await work();
    const seconds = (performance.now() - start) / 1000;
    const sorted = [...times].sort((a, b) => a - b);
    out(
      `purge     ${name}: ${seconds.toFixed(2)} s${told}; ${times.length} appends meanwhile: p50 ` +
        `${at(sorted, 0.5).toFixed(1)} p99 ${at(sorted, 0.99).toFixed(1)} max ${at(sorted, 1).toFixed(0)} ms; RSS ${rss()}`,
    );
  };
  const payloadsMs = { default: 90 * DAY_MS, heldOrBlocked: 365 * DAY_MS };
  const retention = new Retention({ store: store.retention, payloadsMs, now: () => nowMs });
  await measure("nothing", async () => {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    return "";
  });
  await measure("dry run", async () => {
    const { months } = await retention.plan();
    return `, would destroy ${months[0]?.destroyed.calls}, keep ${months[0]?.held.calls} calls`;
  });
  await measure("purge", async () => {
    const [purged] = await retention.purge({ by: "bench" }, new AbortController().signal);
    return `, ${purged?.count} payloads destroyed`;
  });
  calling = false;
  await Promise.all(lanes);
  await store.close();
}

const [what = "all", ...numbers] = process.argv.slice(2);
const number = (position: number, otherwise: number): number => Number(numbers[position] ?? otherwise);
try {
  if (what === "all" || what === "latency") await latency();
  if (what === "calls" || what === "quick" || what === "memory") await calls(number(0, 32), number(1, 50_000), what);
  if (what === "all") {
    for (const concurrency of [1, 8, 32, 256]) await calls(concurrency, concurrency === 1 ? 8_000 : 50_000, "calls");
    for (const concurrency of [1, 32]) await calls(concurrency, concurrency === 1 ? 8_000 : 50_000, "quick");
  }
  if (what === "bulk") await bulk(number(0, 64), number(1, 512), number(2, 16));
  if (what === "all") {
    await bulk(64, 512, 16);
    await bulk(256, 512, 8);
  }
  if (what === "purge") await purge(number(0, 100_000), number(1, 1));
  if (what === "list") await list(number(0, 1_000_000));
  if (what === "export") await exported(number(0, 1_000_000));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
