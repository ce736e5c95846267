import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newApprovalId, newCallId, newSessionId, type RecordDraft } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatNotice, type NotifyFormat } from "../../notifications/format.ts";
import { Outbox, type OutboxOptions } from "../../notifications/outbox.ts";
import { openSqliteStore, type SqliteStore } from "../sqlite/store.ts";
import { TEST_KEYS } from "../sqlite/testing/keys.ts";
import { cursorFile } from "./cursor-file.ts";
import { httpSend } from "./http-send.ts";

interface Got {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly notice: { readonly type: string; readonly data: { readonly approval: string; readonly reason?: string } };
}

const KEY = randomBytes(32);
let folder: string;
let store: SqliteStore;
let endpoint: Server;
let got: Got[];
/** What the endpoint answers, one after another; then 204. */
let answers: (number | "hang" | "redirect")[];
const outboxes: Outbox[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-notify-"));
  store = await openSqliteStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS, replica: "gw-1" });
  got = [];
  answers = [];
  endpoint = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    got.push({ headers: request.headers, text, notice: JSON.parse(text) as Got["notice"] });
    const answer = answers.shift() ?? 204;
    if (answer === "hang") return;
    if (answer === "redirect") response.writeHead(307, { location: "/elsewhere" }).end();
    else response.writeHead(answer).end();
  });
  await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  await Promise.all(outboxes.splice(0).map((outbox) => outbox.close()));
  endpoint.closeAllConnections();
  endpoint.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const path = (): string => join(folder, "notify", "desk.json");
function open(more: Partial<OutboxOptions> = {}): { readonly outbox: Outbox; readonly failures: number[] } {
  const failures: number[] = [];
  const { port } = endpoint.address() as AddressInfo;
  const outbox = new Outbox({
    ...{ name: "desk", format: "webhook", key: KEY, events: ["approval.requested", "approval.broke_glass"] },
    ...{ cursor: cursorFile(path()), send: httpSend(new URL(`http://127.0.0.1:${port}/secret-path`)) },
    ...{ reader: store.reader, logSize: 0, now: Date.now, retry: { firstMs: 20, mostMs: 50 } },
    failed: (_, error, consecutive) => {
      expect(String(error)).not.toContain("secret-path");
      failures.push(consecutive);
    },
    ...more,
  });
  outboxes.push(outbox);
  return { outbox, failures };
}

const actor = {
  name: "ann@bank.example",
  sub: "s-1",
  iss: "https://idp",
  kind: "human",
  groups_hash: "0".repeat(64),
} as const;
function requested(reason = "Q3 validation"): RecordDraft & { readonly approval: string } {
  const approval = newApprovalId();
  return {
    ...{ type: "approval.requested", actor, session: newSessionId(), call: newCallId(), approval, reason },
    ...{ connection: "credit", rule: "bulk", policy: "p", method: "POST", path: "/v2/models/credit-of-jane-doe/infer" },
    ...{ operation: { kind: "infer", rows: 5_000 }, bytes: 320, scope: "call", quorum: 1, groups: ["risk"] },
    expires: "2027-01-01T00:00:00.000Z",
  };
}
async function until(done: () => boolean): Promise<void> {
  const endMs = Date.now() + 5_000;
  while (!done()) {
    if (Date.now() > endMs) throw new Error(`not in time: ${got.length} messages came`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("a webhook", () => {
  test("says who asks for what, signed as Standard Webhooks does, and no path or body", async () => {
    const { outbox } = open();
    const draft = requested();
    await store.log.append([draft]);
    outbox.wake();
    await until(() => got.length === 1);
    const [{ headers, text, notice }] = got as [Got];
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${text}`;
    expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", KEY).update(signed).digest("base64")}`);
    expect(Math.abs(Number(headers["webhook-timestamp"]) * 1_000 - Date.now())).toBeLessThan(5_000);
    expect(notice).toMatchObject({
      type: "approval.requested",
      data: { approval: draft.approval, user: "ann@bank.example", operation: { kind: "infer", rows: 5_000 } },
    });
    expect(text).not.toContain("jane-doe");
  });

  test("is told again with the same id until it takes it, in order", async () => {
    answers = [500, "redirect", 429, 204, 503];
    const drafts = [requested("1"), requested("2")];
    await store.log.append(drafts);
    const { failures } = open();
    await until(() => got.length === 6);
    expect(got.map(({ notice }) => notice.data.reason)).toEqual(["1", "1", "1", "1", "2", "2"]);
    expect(new Set(got.map(({ headers }) => headers["webhook-id"])).size).toBe(2);
    expect(failures).toEqual([1, 2, 3, 1]);
  });

  test("hears after a crash what it had not taken, and nothing else twice", async () => {
    const { outbox } = open();
    await store.log.append([requested("1")]);
    outbox.wake();
    await until(() => got.length === 1);
    answers = ["hang"];
    await store.log.append([requested("2")]);
    outbox.wake();
    await until(() => got.length === 2);
    // The end comes while the endpoint has not answered: nobody knows whether it has taken it.
    await outbox.close();
    await store.log.append([requested("3")]);
    open({ logSize: 3 });
    await until(() => got.length === 4);
    expect(got.map(({ notice }) => notice.data.reason)).toEqual(["1", "2", "2", "3"]);
    expect(got[1]?.headers["webhook-id"]).toBe(got[2]?.headers["webhook-id"]);
  });

  test("that is new hears of nothing old; events that it did not ask for are passed over", async () => {
    await store.log.append([requested("old")]);
    const { outbox } = open({ logSize: 1, events: ["approval.broke_glass"] });
    const { approval } = requested();
    const about = { approval, connection: "credit", rule: "bulk", by: "ann@bank.example" } as RecordDraft;
    await store.log.append([
      requested("new"),
      { ...about, type: "approval.granted", actor } as RecordDraft,
      { ...about, type: "approval.granted", actor, break_glass: true, reason: "outage" } as RecordDraft,
    ]);
    outbox.wake();
    await until(() => got.length === 1);
    expect(got[0]?.notice).toMatchObject({ type: "approval.broke_glass", data: { reason: "outage" } });
    await until(() => JSON.parse(readFileSync(path(), "utf8")).index === 3);
  });

  test("does not begin anew in silence when its place in the log cannot be read", async () => {
    const { outbox } = open();
    await until(() => cursorFile(path()).get() === -1);
    await outbox.close();
    writeFileSync(path(), '{"v":1,"ind');
    expect(() => cursorFile(path())).toThrow("is not what was written there");
  });
});

describe("a chat", () => {
  const hostile = "<!channel> [pay](https://evil.example) *bold* `x`\n\u202e& done";
  const message = (format: NotifyFormat): string =>
    formatNotice(
      { type: "approval.requested", timestamp: "", data: { approval: "apr_1", user: "ann", reason: hostile } },
      "rec_1",
      { format, key: undefined },
      0,
    ).body.toString();

  test("gets words that mention nobody, link nowhere and name the command", () => {
    expect(message("slack")).not.toMatch(/<!channel>|<https|\u202e|`x`/);
    expect(message("slack")).toContain("&lt;!channel&gt;");
    expect(message("slack")).toContain("hoopish approve apr_1");
    expect(message("teams")).not.toMatch(/\[pay\]\(|\u202e/);
    expect(message("teams")).toContain("hoopish approve apr_1");
    expect(JSON.parse(message("teams"))).toMatchObject({
      type: "message",
      attachments: [{ content: { version: "1.4" } }],
    });
  });
});
