import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connected, World } from "../world/world.ts";

/** Internal audit looks for records of every kind, and what it looks for is itself on the record. */

let world: World;
let chat: Connected;
let call: string;

beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  await fetch(`${world.serverUrl}/api/v1/whoami`, { headers: { authorization: "Bearer not-a-token" } });
  chat = await world.connect("scientist", "chat", ["--reason", "Q3"]);
  call = (await fetch(`${chat.base}/v1/models`)).headers.get("hoopish-call") ?? "";
  await fetch(`${chat.base}/v1/models`);
});
afterAll(() => world?.close());

interface Found {
  readonly index: number;
  readonly leaf: string;
  readonly record: { readonly type: string; readonly [member: string]: unknown };
}
interface Page {
  readonly records: readonly Found[];
  readonly next?: string;
}

async function search(...args: readonly string[]): Promise<Page> {
  const { code, stdout, stderr } = await world.cli("audit", ["audit", "search", "--since", "1h", "--json", ...args]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Page;
}
const typesOf = ({ records }: Page): string[] => records.map(({ record }) => record.type);

describe("hoopish audit search", () => {
  it("finds records of every type, newest first, page by page", async () => {
    const all = await search("--limit", "1000");
    const indexes = all.records.map(({ index }) => index);
    expect(indexes).toEqual(indexes.map((_, i) => (indexes[0] ?? 0) - i));
    expect(indexes.at(-1)).toBe(0);
    for (const type of ["server.started", "policy.loaded", "agent.enrolled", "auth.refused", "session.open"]) {
      expect(typesOf(all)).toContain(type);
    }
    const paged: number[] = [];
    let cursor: string | undefined = String(indexes[0]);
    while (cursor !== undefined) {
      const page: Page = await search("--limit", "7", "--cursor", cursor);
      paged.push(...page.records.map(({ index }) => index));
      cursor = page.next;
    }
    expect(paged).toEqual(indexes.slice(1));
  });

  it("finds by type, person, session and call", async () => {
    const gate = await search("--type", "auth.refused", "--type", "agent.enrolled");
    expect([...new Set(typesOf(gate))].sort()).toEqual(["agent.enrolled", "auth.refused"]);
    const own = await search("--user", "scientist@bank.example");
    expect(typesOf(own)).toEqual(expect.arrayContaining(["session.open", "call.decided", "call.answered"]));
    for (const { record } of own.records) expect(record).toMatchObject({ actor: { name: "scientist@bank.example" } });
    expect(typesOf(await search("--call", call))).toEqual(["call.answered", "call.decided"]);
    await chat.program.stop("SIGINT");
    const inSession = await search("--session", chat.session);
    expect(typesOf(inSession)).toEqual([
      "session.close",
      "call.answered",
      "call.decided",
      "call.answered",
      "call.decided",
      "session.open",
    ]);
    expect(await search("--session", chat.session, "--until", "2h")).toEqual({ records: [] });
  });

  it("is for auditors, and is itself found", async () => {
    const denied = await world.cli("scientist", ["audit", "search", "--json"]);
    expect(denied.code).toBe(5);
    const admin = await world.cli("platform", ["audit", "search", "--json"]);
    expect(admin.code).toBe(5);
    const before = await search("--type", "key.rotated");
    expect(before.records).toEqual([]);
    const [newest] = (await search("--type", "audit.searched", "--limit", "1")).records;
    expect(newest?.record).toMatchObject({
      actor: { name: "audit@bank.example" },
      query: { type: "key.rotated" },
      results: 0,
    });
  });
});
