import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileSpools } from "../../adapters/files/spool.ts";
import type { LogLine } from "./entry.ts";
import {
  answered,
  callId,
  decided,
  EVERY_TYPE,
  hexOf,
  interrupted,
  logLines,
  OPEN,
  SESSION,
} from "./testing/log-lines.ts";
import { type ViewFile, ViewFiles } from "./view-files.ts";
import { VIEW_NAMES, type ViewName, Views } from "./views.ts";

const SOURCE = { version: "0.1.0", origin: "gateway.bank.example/hoopish" };

function textOf(name: ViewName, lines: readonly LogLine[]): string {
  const views = new Views([name], SOURCE);
  for (const line of lines) views.push(line);
  views.end();
  return views.take(name).toString();
}

/** Rows by column name; for cells without quotes and line feeds. */
function rowsOf(name: ViewName, lines: readonly LogLine[]): Record<string, string>[] {
  const [head = "", ...rows] = textOf(name, lines).split("\r\n").slice(0, -1);
  const names = head.split(",");
  return rows.map((row) => {
    const cells = row.split(",");
    expect(cells).toHaveLength(names.length);
    return Object.fromEntries(names.map((column, at) => [column, cells[at] ?? ""]));
  });
}

describe("calls.csv", () => {
  it("has one row a call, with both records and the session's reason", () => {
    const lines = logLines([OPEN, decided(1), decided(2), answered(2), interrupted(1)], 7);
    const rows = rowsOf("calls.csv", lines);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      index: "10",
      leafHash: hexOf(lines[3]),
      decidedIndex: "9",
      decidedLeafHash: hexOf(lines[2]),
      id: callId(2),
      user: "ada@bank.example",
      session: SESSION,
      model: "llama",
      verdict: "allow",
      status: "200",
      inputTokens: "5",
      outputTokens: "7",
      outcome: "complete",
      host: "laptop-7",
      reason: "Q3 validation",
      ticket: "MRM-7",
    });
    expect(rows[1]).toMatchObject({
      index: "11",
      id: callId(1),
      status: "",
      deliveredBytes: "11",
      outcome: "interrupted",
    });
  });

  it("tells calls that have not ended last, and of those decided earlier what is known", () => {
    const lines = logLines([decided(1), answered(9, { masked: { EMAIL: 2, PHONE: 1 } })]);
    const rows = rowsOf("calls.csv", lines);
    expect(rows[0]).toMatchObject({
      id: callId(9),
      index: "1",
      decidedIndex: "",
      path: "",
      status: "200",
      maskedInAnswer: "3",
    });
    expect(rows[1]).toMatchObject({
      id: callId(1),
      index: "0",
      leafHash: hexOf(lines[0]),
      outcome: "open",
      status: "",
    });
  });

  it("begins no formula, whatever a caller named his model, path and ticket", () => {
    const attack = '=HYPERLINK("http://evil","x")';
    const operation = { kind: "chat", model: attack };
    const text = textOf(
      "calls.csv",
      logLines([{ ...OPEN, ticket: "@SUM(A1)", reason: "+1" }, decided(1, { operation }), answered(1)]),
    );
    expect(text).toContain(`,"'=HYPERLINK(""http://evil"",""x"")",`);
    expect(text).toContain(",'+1,'@SUM(A1)\r\n");
  });
});

describe("access.csv", () => {
  it("has logins, refusals, sessions and agents, and nothing else", () => {
    const lines = logLines(EVERY_TYPE);
    const rows = rowsOf("access.csv", lines);
    const types = EVERY_TYPE.map((draft) => (draft as { type: string }).type);
    expect(rows.map(({ type }) => type)).toEqual(types.filter((type) => /^(auth|session|agent)\./.test(type)));
    for (const { index, leafHash } of rows) expect(leafHash).toBe(hexOf(lines[Number(index)]));
    expect(rows.find(({ type }) => type === "session.open")).toMatchObject({
      user: "ada@bank.example",
      host: "laptop-7",
      rule: "scientists",
    });
    expect(rows.find(({ count }) => count === "70")).toMatchObject({ type: "auth.refused", code: "unauthenticated" });
    expect(rows.find(({ type }) => type === "agent.revoked")).toMatchObject({
      agentName: "edge-1",
      by: "ada@bank.example",
    });
  });

  it("will have locks", () => {
    expect(rowsOf("access.csv", logLines([{ type: "lock.set", user: "eve", reason: "left the bank" }]))).toMatchObject([
      { type: "lock.set", reason: "left the bank" },
    ]);
  });
});

describe("approvals.csv", () => {
  it("is its header as long as there are none, and has them when they come", () => {
    expect(rowsOf("approvals.csv", logLines(EVERY_TYPE))).toEqual([]);
    const approval = `apr_${"3".repeat(32)}`;
    const lines = logLines([{ type: "approval.granted", approval, call: callId(1), reason: "fine" }]);
    expect(rowsOf("approvals.csv", lines)).toMatchObject([
      { index: "0", leafHash: hexOf(lines[0]), type: "approval.granted", approval, call: callId(1), reason: "fine" },
    ]);
  });
});

describe("view files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hoopish-views-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const contentOf = async (file: ViewFile | undefined): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of file?.read() ?? []) chunks.push(chunk);
    return Buffer.concat(chunks);
  };

  it("hold what one pass makes, with length and hash known before they are read, and leave nothing behind", async () => {
    const lines = logLines(EVERY_TYPE);
    const files = await ViewFiles.open(fileSpools(folder), SOURCE);
    for (let at = 0; at < lines.length; at += 7) await files.add(lines.slice(at, at + 7));
    const made = await files.finish();
    expect(made.map(({ path }) => path)).toEqual(VIEW_NAMES.map((name) => `views/${name}`));
    for (const file of made) {
      const content = await contentOf(file);
      expect(content.length).toBe(file.bytes);
      expect(createHash("sha256").update(content).digest("hex")).toBe(file.sha256);
      expect(content.toString()).toBe(textOf(file.path.slice("views/".length) as ViewName, lines));
      // A second reader gets the same.
      expect((await contentOf(file)).equals(content)).toBe(true);
    }
    await files.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("cannot be read by others while they are written", async () => {
    const spool = await fileSpools(folder)();
    await spool.append(Buffer.from("ada@bank.example"));
    if (process.platform !== "win32") expect(readdirSync(folder)).toEqual([]);
    await spool.close();
  });

  it("say that there is no room as a refusal", async () => {
    const open = ViewFiles.open(fileSpools(join(folder, "absent")), SOURCE);
    await expect(open).rejects.toMatchObject({ code: "evidence_unavailable" });
  });
});
