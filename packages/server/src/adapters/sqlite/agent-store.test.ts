import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentId, HoopishError, newAgentId, type RecordDraft } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EnrolledAgent } from "../../agents/port.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

const TOKEN = "a".repeat(64);
const NOW = 1_795_420_800_000;

let folder: string;
let store: SqliteStore;

const open = (): Promise<SqliteStore> =>
  openSqliteStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS, replica: "gw-1" });
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-agents-"));
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

let keys = 0;
const agentNamed = (name: string): EnrolledAgent => ({
  id: newAgentId(),
  name,
  publicKey: Buffer.alloc(32, ++keys).toString("base64"),
  enrolledAtMs: NOW,
  revokedAtMs: undefined,
});
const enrolled = ({ id, name, publicKey }: EnrolledAgent): RecordDraft => ({
  type: "agent.enrolled",
  agent: id,
  name,
  key: publicKey,
});
const revoked = (id: AgentId): RecordDraft => ({ type: "agent.revoked", agent: id, name: "edge-1", by: "admin" });
const invite = (name = "edge-1", expiresAtMs = NOW + 60_000): Promise<void> =>
  store.agents.addToken({ sha256: TOKEN, name, expiresAtMs });
const enroll = (agent: EnrolledAgent, nowMs = NOW, token = TOKEN): Promise<boolean> =>
  store.agents.enroll(token, agent, nowMs, enrolled(agent));

async function recordTypes(): Promise<string[]> {
  const types: string[] = [];
  for await (const batch of store.reader.export({ sinceMs: 0, untilMs: 8e15 }, false)) {
    for (const item of batch) if (item.kind === "record") types.push((JSON.parse(item.leaf) as { type: string }).type);
  }
  return types;
}

describe("enrolment", () => {
  test("takes the token once, and the agent outlives the process, with its record", async () => {
    await invite();
    const agent = agentNamed("edge-1");
    expect(await enroll(agent)).toBe(true);
    expect(await enroll(agentNamed("edge-1"))).toBe(false);
    await store.close();
    store = await open();
    expect(await store.agents.list()).toEqual([agent]);
    expect(await recordTypes()).toEqual(["agent.enrolled"]);
    expect(await enroll(agentNamed("edge-1"))).toBe(false);
  });

  test("of many at once with one token, exactly one wins, and only its record is written", async () => {
    await invite();
    const agents = Array.from({ length: 20 }, () => agentNamed("edge-1"));
    const won = await Promise.all(agents.map((agent) => enroll(agent)));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await store.agents.list()).toEqual(agents.filter((_, position) => won[position]));
    expect(await recordTypes()).toEqual(["agent.enrolled"]);
  });

  test.each([
    ["an unknown token", "edge-1", NOW, "b".repeat(64)],
    ["another name", "edge-2", NOW, TOKEN],
    ["an expired token", "edge-1", NOW + 60_000, TOKEN],
  ])("%s changes and records nothing, and does not use the token up", async (_, name, nowMs, token) => {
    await invite();
    expect(await enroll(agentNamed(name), nowMs, token)).toBe(false);
    expect(await store.agents.list()).toEqual([]);
    expect(await recordTypes()).toEqual([]);
    expect(await enroll(agentNamed("edge-1"))).toBe(true);
  });

  test("one key is one agent: a second enrolment of it is a conflict, and its token stays good", async () => {
    await invite();
    const agent = agentNamed("edge-1");
    await enroll(agent);
    await store.agents.addToken({ sha256: "c".repeat(64), name: "edge-1", expiresAtMs: NOW + 60_000 });
    const refused = await enroll({ ...agent, id: newAgentId() }, NOW, "c".repeat(64)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HoopishError);
    expect(refused).toMatchObject({ code: "conflict" });
    expect(await enroll(agentNamed("edge-1"), NOW, "c".repeat(64))).toBe(true);
  });

  test("a record that cannot be written leaves the token unused", async () => {
    await invite();
    const agent = agentNamed("edge-1");
    const broken = { ...enrolled(agent), name: "\ud800" } as RecordDraft;
    await expect(store.agents.enroll(TOKEN, agent, NOW, broken)).rejects.toMatchObject({
      code: "evidence_unavailable",
    });
    expect(await store.agents.list()).toEqual([]);
    expect(await enroll(agent)).toBe(true);
  });
});

describe("revocation", () => {
  test("happens once, with its record", async () => {
    await invite();
    const agent = agentNamed("edge-1");
    await enroll(agent);
    const answers = await Promise.all([1, 2, 3].map(() => store.agents.revoke(agent.id, NOW + 1, revoked(agent.id))));
    expect(answers).toEqual([true, false, false]);
    expect(await store.agents.list()).toEqual([{ ...agent, revokedAtMs: NOW + 1 }]);
    expect(await recordTypes()).toEqual(["agent.enrolled", "agent.revoked"]);
  });

  test("of an agent that is not there is false", async () => {
    expect(await store.agents.revoke(newAgentId(), NOW, revoked(newAgentId()))).toBe(false);
    expect(await recordTypes()).toEqual([]);
  });
});
