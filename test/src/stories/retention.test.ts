import { readFileSync } from "node:fs";
import { type CallId, Committer, newCallId, newSessionId, type RecordDraft } from "@hoopish/protocol";
import { openSqliteStore } from "@hoopish/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, World } from "../world/world.ts";

/**
 * Calls of half a year ago, a legal hold on one person's, a server that starts and purges by itself, and what people with
 * their roles see and may do afterwards.
 */

const DAY_MS = 86_400_000;
const OLD_MS = Date.now() - 200 * DAY_MS;
const MONTH = new Date(OLD_MS).toISOString().slice(0, 7);

let world: World;
let hold: string;
const calls = {} as { held: CallId; other: CallId };

const audit = async (account: Account, ...args: string[]): ReturnType<World["cli"]> =>
  world.cli(account, ["audit", ...args]);
const json = async <T>(account: Account, ...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await audit(account, ...args, "--json");
  if (code !== 0) throw new Error(`audit ${args.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
};
interface Story {
  readonly payloads: readonly { readonly field: string; readonly state: string; readonly data?: string }[];
  readonly holds?: readonly string[];
}
const statesOf = async (account: Account, call: CallId): Promise<string[]> =>
  (await json<Story>(account, "show", call)).payloads.map(({ field, state }) => `${field} ${state}`);

/** Writes a call into the store of a server that is stopped, as it would have been written then. */
async function writeOldCalls(): Promise<void> {
  const store = await openSqliteStore({
    path: world.databasePath,
    replica: "gw-1",
    keys: {
      vault: Buffer.from(readFileSync(world.path("vault.key"), "utf8"), "base64"),
      log: { origin: "gateway.bank.example/hoopish", privateKey: readFileSync(world.path("log.key"), "utf8") },
    },
    clock: () => OLD_MS,
  });
  for (const [name, user] of [
    ["held", "scientist@bank.example"],
    ["other", "risk1@bank.example"],
  ] as const) {
    const call = newCallId();
    const bytes = Buffer.from(`the question of ${user}`);
    const committer = new Committer();
    committer.update(bytes);
    const { salt } = committer;
    const whose = {
      actor: { sub: user, iss: world.idp.issuer, name: user, groups_hash: "0".repeat(64), kind: "human" },
      session: newSessionId(),
      call,
      connection: "chat",
    } as const;
    const decided: RecordDraft = {
      type: "call.decided",
      ...whose,
      protocol: "http",
      method: "POST",
      path: "/v1/chat/completions",
      operation: { kind: "chat" },
      verdict: "allow",
      policy: "0".repeat(64),
      payloads: { request: committer.finish() },
    };
    await store.log.append([decided], [{ call, field: "request", seq: 0, bytes, salt }]);
    const sizes = { request: bytes.length, delivered: 0 };
    const answered = { type: "call.answered", ...whose, status: 200, duration_ms: 1, bytes: sizes } as const;
    await store.log.append([{ ...answered, outcome: "complete" }]);
    calls[name] = call;
  }
  await store.close();
}

const restart = async (between: () => Promise<void>): Promise<void> => {
  await world.server.stop("SIGTERM");
  await between();
  await world.startServer();
};

beforeAll(async () => {
  world = await World.start();
  for (const account of ["scientist", "audit", "platform"] as const) await world.signIn(account);
  const placed = await json<{ hold: { id: string }; calls: number }>(
    "audit",
    ...["hold", "--user", "scientist@bank.example", "--until", "30d", "--reason", "Case 2026-114"],
  );
  hold = placed.hold.id;
  expect(placed.calls).toBe(0);
  await restart(writeOldCalls);
}, 120_000);
afterAll(() => world?.close());

describe("payloads whose time is over", () => {
  it("are not destroyed on the word of a clock that is half a year ahead of the newest call", async () => {
    await expect
      .poll(() => world.server.stderr, { timeout: 20_000 })
      .toContain("no payloads are destroyed on its word");
    expect(await statesOf("audit", calls.other)).toEqual(["request complete"]);
    const chat = await world.connect("scientist", "chat");
    await expect.poll(async () => (await fetch(`${chat.base}/v1/models`)).status, { timeout: 20_000 }).toBe(200);
    await chat.program.stop("SIGINT");
    await restart(async () => {});
  }, 60_000);

  it("are destroyed by the server itself, but for what is held; the record says so", async () => {
    await expect.poll(() => statesOf("audit", calls.other), { timeout: 20_000 }).toEqual(["request purged"]);
    expect(await statesOf("audit", calls.held)).toEqual(["request complete"]);
    const shown = await audit("audit", "show", calls.other);
    expect(shown.stdout).toMatch(/request \(34 B; destroyed when its time was over: record \d+\)/);
    const found = await json<{ records: { leaf: string }[] }>("audit", "search", "--type", "retention.purged");
    expect(found.records.map(({ leaf }) => JSON.parse(leaf) as unknown)).toMatchObject([
      { class: "default", from: `${MONTH}-01T00:00:00.000Z`, count: 1, by: "schedule" },
    ]);
  });

  it("are told of by exports, which stay whole", async () => {
    const { stdout } = await audit("audit", "export", "--since", "365d", "--format", "jsonl", "--payloads");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
    expect(lines.flatMap(({ gone }) => (gone === undefined ? [] : [gone]))).toMatchObject([
      { call: calls.other, state: "purged", bytes: 34 },
    ]);
    const held = lines.map(({ payload }) => payload ?? {}).find((payload) => payload.call === calls.held);
    expect(held).toMatchObject({ data: "the question of scientist@bank.example" });
    const bundle = world.path("evidence.tar.gz");
    expect((await audit("audit", "export", "--since", "365d", "-o", bundle)).code).toBe(0);
    const verified = await audit("audit", "verify", bundle, "--key", world.vkey);
    expect(verified.stdout + verified.stderr).toMatch(/purged/i);
    expect(verified.code).toBe(0);
  });

  it("are seen by people according to their roles: holds by auditors alone", async () => {
    expect((await json<Story>("audit", "show", calls.held)).holds).toEqual([hold]);
    expect((await json<Story>("scientist", "show", calls.held)).holds).toEqual([]);
    for (const args of [["purge"], ["purge", "--dry-run"], ["hold", "--list"]]) {
      expect((await audit("scientist", ...args)).code).toBe(5);
    }
    expect((await audit("audit", "purge")).code).toBe(5);
    expect((await audit("platform", "hold", "--user", "x", "--reason", "y")).code).toBe(5);
    expect((await audit("platform", "release", hold, "--reason", "y")).code).toBe(5);
    expect((await audit("platform", "hold", "--list")).stdout).toContain("Case 2026-114");
  });

  it("go by hand when the hold is released, and not before", async () => {
    const plan = await json<{ months: object[] }>("platform", "purge", "--dry-run");
    expect(plan.months).toMatchObject([{ destroyed: { calls: 0 }, held: { calls: 1 }, holds: [hold] }]);
    expect(await json("platform", "purge")).toEqual({ purged: [] });
    expect((await audit("audit", "release", hold, "--reason", "settled")).code).toBe(0);
    expect((await audit("audit", "release", hold, "--reason", "settled")).code).toBe(1);
    expect(await statesOf("audit", calls.held)).toEqual(["request complete"]);
    const { purged } = await json<{ purged: object[] }>("platform", "purge");
    expect(purged).toMatchObject([{ class: "default", count: 1 }]);
    expect(await statesOf("scientist", calls.held)).toEqual(["request purged"]);
    const found = await json<{ records: { leaf: string }[] }>(
      "audit",
      ...["search", "--type", "retention.held", "--type", "retention.released", "--type", "retention.purged"],
    );
    expect(found.records.map(({ leaf }) => JSON.parse(leaf) as unknown)).toMatchObject([
      { type: "retention.purged", by: "platform@bank.example", actor: { name: "platform@bank.example" } },
      { type: "retention.released", hold, reason: "settled", by: "audit@bank.example" },
      { type: "retention.purged", by: "schedule" },
      { type: "retention.held", hold, reason: "Case 2026-114", actor: { name: "audit@bank.example" } },
    ]);
  });
});
