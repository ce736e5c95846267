import { type CallId, exportLineSchema, newCallId, type StoredRecord } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ALL_CALLS } from "../../evidence/all-calls.ts";
import { exportCsv, exportJsonl } from "../../evidence/export.ts";
import type { ExportItem } from "../../evidence/port.ts";
import { answeredDraft, decidedDraft, wholePayload } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

const START = 1_795_420_800_000;
const EVER = { sinceMs: 0, untilMs: 8e15 };

describe("export", () => {
  let store: SqliteStore;
  let nowMs = START;
  beforeEach(async () => {
    nowMs = START;
    store = await openSqliteStore({ path: ":memory:", keys: TEST_KEYS, replica: "gw-1", clock: () => nowMs });
  });
  afterEach(() => store.close());

  async function items(payloads: boolean, range: { sinceMs: number; untilMs: number } = EVER): Promise<ExportItem[]> {
    const all: ExportItem[] = [];
    for await (const batch of store.reader.export(range, payloads)) all.push(...batch);
    return all;
  }

  async function writeCall(request: Buffer, delivered: Buffer): Promise<CallId> {
    const call = newCallId();
    const asked = wholePayload(call, "request", request);
    await store.log.append([decidedDraft({ call }, [asked])], [asked.piece]);
    const said = wholePayload(call, "delivered", delivered);
    await store.log.append([answeredDraft({ call }, [said])], [said.piece]);
    return call;
  }

  test("each body follows the record that commits to it, and no other", async () => {
    const call = await writeCall(Buffer.from("question"), Buffer.from("answer"));
    const told = (await items(true)).map((item) =>
      item.kind === "record"
        ? (JSON.parse(item.leaf) as StoredRecord).type
        : `${item.field}=${item.kind === "payload" ? Buffer.from(item.bytes) : item.state}`,
    );
    expect(told).toEqual(["call.decided", "request=question", "call.answered", "delivered=answer"]);
    const lines: string[] = [];
    for await (const chunk of exportJsonl(store.reader.export(EVER, true))) lines.push(...chunk.toString().split("\n"));
    const parsed = lines.filter((line) => line !== "").map((line) => exportLineSchema.parse(JSON.parse(line)));
    expect(parsed).toHaveLength(4);
    expect(parsed[1]).toMatchObject({ payload: { call, field: "request", encoding: "utf8", data: "question" } });
  });

  test("a streamed body whose last piece is empty, and is stored apart, is told once", async () => {
    const call = newCallId();
    const whole = wholePayload(call, "delivered", Buffer.from("streamed"));
    const { salt = Buffer.alloc(0) } = whole.piece;
    await store.log.append([decidedDraft({ call })]);
    // Each comes into the database with a transaction, and a block, of its own.
    const pieces = [Buffer.alloc(0), Buffer.from("strea"), Buffer.from("med")];
    for (const [seq, bytes] of pieces.entries()) {
      await store.log.append([], [{ call, field: "delivered", seq, bytes }]);
      await store.reader.call(call);
    }
    const last = { call, field: "delivered", seq: 3, bytes: Buffer.alloc(0), salt } as const;
    await store.log.append([answeredDraft({ call }, [whole])], [last]);
    const bodies = (await items(true)).filter((item) => item.kind === "payload");
    expect(bodies.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["strea", "med"]);
    const chunks: Buffer[] = [];
    for await (const chunk of exportJsonl(store.reader.export(EVER, true))) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString().trimEnd().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object)[0])).toEqual(["index", "index", "payload"]);
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ payload: { data: "streamed", bytes: 8 } });
  });

  test("a body of a call that is still open is not in it", async () => {
    const call = newCallId();
    await store.log.append([decidedDraft({ call })], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("a") }]);
    expect((await items(true)).map(({ kind }) => kind)).toEqual(["record"]);
  });

  test("a body whose last piece came alone and empty, for its salt, is one line", async () => {
    const call = newCallId();
    const asked = wholePayload(call, "request", Buffer.from("question"));
    const { salt, ...piece } = asked.piece;
    await store.log.append([decidedDraft({ call })], [piece]);
    // A block of its own: what was appended before is in the database when it comes.
    await items(false);
    const last = { ...piece, seq: 1, bytes: Buffer.alloc(0), salt: salt as Uint8Array };
    await store.log.append([answeredDraft({ call }, [asked])], [last]);
    let text = "";
    for await (const chunk of exportJsonl(store.reader.export(EVER, true))) text += chunk;
    const lines = text.split("\n").filter((line) => line !== "");
    expect(lines.map((line) => Object.keys(exportLineSchema.parse(JSON.parse(line))))).toEqual([
      ["index", "record"],
      ["index", "record"],
      ["payload"],
    ]);
    expect(lines[2]).toContain('"data":"question"}}');
  });

  test("a large body comes in items of about 256 KiB, in order, known as text or not from the first on", async () => {
    // The euro sign's three bytes lie across every boundary somewhere.
    const text = Buffer.from("€".repeat(1_500_001));
    const binary = Buffer.concat([Buffer.alloc(3_000_000, "a"), Buffer.from([0xff])]);
    await writeCall(text, binary);
    const bodies = (await items(true)).filter((item) => item.kind === "payload");
    for (const [field, whole, utf8] of [
      ["request", text, true],
      ["delivered", binary, false],
    ] as const) {
      const parts = bodies.filter((item) => item.field === field);
      expect(parts.length).toBeGreaterThan(2);
      expect(parts.every((part) => part.utf8 === utf8 && part.length === whole.length)).toBe(true);
      expect(parts.map(({ offset }) => offset)).toEqual(
        parts.map((_, i) => parts.slice(0, i).reduce((sum, { bytes }) => sum + bytes.length, 0)),
      );
      expect(Math.max(...parts.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(327_680);
      expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(whole)).toBe(true);
    }
    let length = 0;
    for await (const chunk of exportJsonl(store.reader.export(EVER, true))) length += chunk.length;
    expect(length).toBeGreaterThan(text.length + (binary.length * 4) / 3);
  });

  test("holds the records of the span of time, from its first millisecond to before its last", async () => {
    const times: number[] = [];
    const appends: Promise<number>[] = [];
    for (let i = 0; i < 10_000; i++) {
      nowMs += i === 6_000 ? -30_000 : 5;
      times.push(nowMs);
      appends.push(store.log.append([{ type: "server.started", version: "1", config: "c" }]));
    }
    await Promise.all(appends);
    for (const [sinceMs, untilMs] of [
      [START, START + 5],
      [START + 5, START + 10],
      [START + 10_000, START + 20_000],
      [START + 29_000, START + 29_500],
      [nowMs, nowMs + 1],
      [nowMs + 1, 8e15],
      [0, START],
      [START + 40_000, START + 45_000],
    ] as const) {
      const found = await items(false, { sinceMs, untilMs });
      const expected = times.flatMap((time, index) => (time >= sinceMs && time < untilMs ? [index] : []));
      expect(found.map((item) => (item.kind === "record" ? item.index : -1))).toEqual(expected);
    }
  });

  test("ends where the log ended when it began, and may be left off at any time", async () => {
    for (let i = 0; i < 20; i++) await writeCall(Buffer.alloc(200_000, "a"), Buffer.from("answer"));
    let records = 0;
    for await (const batch of store.reader.export(EVER, true)) {
      records += batch.filter(({ kind }) => kind === "record").length;
      await writeCall(Buffer.from("while it is read"), Buffer.from("answer"));
    }
    expect(records).toBe(40);
    for await (const _ of store.reader.export(EVER, true)) break;
    expect((await items(false)).length).toBeGreaterThan(40);
  });

  test("as CSV it is what the list shows", async () => {
    const calls = [
      await writeCall(Buffer.from("a"), Buffer.from("b")),
      await writeCall(Buffer.from("c"), Buffer.from("d")),
    ];
    let csv = "";
    for await (const chunk of exportCsv(store.reader, ALL_CALLS)) csv += chunk.toString();
    expect(csv.split("\r\n").map((row) => row.split(",")[0])).toEqual(["id", calls[1], calls[0], ""]);
  });
});
