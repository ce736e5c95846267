import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SampleLog } from "../../evidence/anchors/testing/sample-log.ts";
import { fileAnchor } from "./file-anchor.ts";
import { ReceiptFile } from "./receipt-file.ts";

const log = new SampleLog(40);
const signal = new AbortController().signal;
const DAY_MS = 86_400_000;

let home = "";
let folder = "";
let nowMs = 0;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "hoopish-anchor-"));
  folder = join(home, "audit", "anchors");
  nowMs = Date.UTC(2026, 10, 25, 23, 59, 58);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const anchor = () => fileAnchor({ folder, required: false, now: () => nowMs });
const publish = (size: number): Promise<unknown> => anchor().publish(log.checkpoint(size), signal);
const newest = (): Promise<string | undefined> => anchor().newest(signal);
const files = (): string[] => readdirSync(folder).sort();
const FIRST = "checkpoints-2026-11-25-0000.jsonl";

describe("fileAnchor", () => {
  it("shows nothing before there is anything, and then the newest, in a new process too", async () => {
    expect(await newest()).toBeUndefined();
    expect(existsSync(folder)).toBe(false);
    await publish(1);
    await publish(1);
    await publish(7);
    expect(await newest()).toBe(log.checkpoint(7).note);
    const lines = readFileSync(join(folder, FIRST), "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[2] ?? "")).toEqual({ time: "2026-11-25T23:59:58.000Z", note: log.checkpoint(7).note });
  });

  it("is for its owner to write", async () => {
    await publish(1);
    expect(statSync(folder).mode & 0o027).toBe(0);
    expect(statSync(join(folder, FIRST)).mode & 0o137).toBe(0);
  });

  it("begins a file each day, and goes on in the newest when the clock is set back", async () => {
    await publish(1);
    nowMs += 5_000;
    await publish(2);
    nowMs -= 3 * DAY_MS;
    await publish(3);
    expect(files()).toEqual([FIRST, "checkpoints-2026-11-26-0000.jsonl"]);
    expect(await newest()).toBe(log.checkpoint(3).note);
  });

  it("reads over a line that a crash cut off, wherever it was cut, and leaves it as it is", async () => {
    await publish(1);
    const whole = statSync(join(folder, FIRST)).size;
    await publish(2);
    for (let size = statSync(join(folder, FIRST)).size - 1; size > whole; size -= 13) {
      truncateSync(join(folder, FIRST), size);
      expect(await newest()).toBe(log.checkpoint(1).note);
    }
    const torn = readFileSync(join(folder, FIRST));
    await publish(3);
    await publish(4);
    expect(files()).toEqual([FIRST, "checkpoints-2026-11-25-0001.jsonl"]);
    expect(readFileSync(join(folder, FIRST))).toEqual(torn);
    expect(await newest()).toBe(log.checkpoint(4).note);
  });

  it("looks into the file before when the newest has no whole line", async () => {
    await publish(5);
    writeFileSync(join(folder, "checkpoints-2026-11-26-0000.jsonl"), '{"time":"2026', { mode: 0o640 });
    writeFileSync(join(folder, "checkpoints-2026-11-27-0000.jsonl"), "", { mode: 0o640 });
    writeFileSync(join(folder, "zzz-notes.txt"), "somebody's", { mode: 0o640 });
    expect(await newest()).toBe(log.checkpoint(5).note);
  });

  it.each<[string, () => void]>([
    [
      "a line that was changed",
      () => writeFileSync(join(folder, FIRST), readFileSync(join(folder, FIRST), "utf8").replace("note", "nope")),
    ],
    ["a line that is none", () => appendFileSync(join(folder, FIRST), "hello\n")],
    ["an empty line", () => appendFileSync(join(folder, FIRST), "\n")],
    [
      "sizes that go back",
      () => appendFileSync(join(folder, FIRST), `${JSON.stringify({ time: "x", note: log.checkpoint(3).note })}\n`),
    ],
    ["a line without end", () => appendFileSync(join(folder, FIRST), "x".repeat(300_000))],
  ])("does not read over %s", async (_what, spoil) => {
    await publish(5);
    spoil();
    await expect(newest()).rejects.toMatchObject({ code: "configuration" });
  });

  it("follows no link in the place of a file, and writes nothing through one", async () => {
    mkdirSync(folder, { recursive: true });
    const target = join(home, "target");
    writeFileSync(target, "precious\n", { mode: 0o600 });
    symlinkSync(target, join(folder, FIRST));
    await expect(publish(1)).rejects.toThrow("is a link");
    await expect(newest()).rejects.toThrow("is a link");
    rmSync(join(folder, FIRST));
    linkSync(target, join(folder, FIRST));
    await expect(publish(1)).rejects.toThrow("has a second name");
    expect(readFileSync(target, "utf8")).toBe("precious\n");
    rmSync(join(folder, FIRST));
    mkdirSync(join(folder, FIRST));
    await expect(publish(1)).rejects.toThrow();
  });

  it("does not use a folder or a file that others can write", async () => {
    await publish(1);
    chmodSync(join(folder, FIRST), 0o660);
    await expect(publish(2)).rejects.toThrow("can be written by other users");
    await expect(newest()).rejects.toThrow("can be written by other users");
    chmodSync(join(folder, FIRST), 0o640);
    chmodSync(folder, 0o777);
    await expect(publish(2)).rejects.toThrow("can be written by everybody");
    await expect(newest()).rejects.toThrow("can be written by everybody");
  });

  it("says when the folder cannot be made", async () => {
    writeFileSync(join(home, "audit"), "a file");
    await expect(publish(1)).rejects.toMatchObject({ code: "ENOTDIR" });
  });
});

describe("ReceiptFile", () => {
  it("gives back the same for a time whatever comes after it, on the days after too", async () => {
    const receipts = new ReceiptFile(folder, () => nowMs);
    await receipts.keep("a", { kind: "cosigned", note: log.checkpoint(1).note });
    const then = nowMs;
    const before = await receipts.newest(then);
    for (const [later, size] of [
      [1_000, 2],
      [30 * 3_600_000, 3],
    ] as const) {
      nowMs = then + later;
      await receipts.keep("a", { kind: "cosigned", note: log.checkpoint(size).note });
      expect(await receipts.newest(then)).toEqual(before);
      expect((await receipts.newest(nowMs)).get("a")?.note).toBe(log.checkpoint(size).note);
    }
    expect(await receipts.newest(then - 1)).toEqual(new Map());
  });

  it("gives back the newest receipt of each anchor", async () => {
    const receipts = new ReceiptFile(folder, () => nowMs);
    expect(await receipts.newest(nowMs)).toEqual(new Map());
    const { note } = log.checkpoint(3);
    const timestamp = { kind: "timestamp", note, response: Buffer.from([1, 2, 3]), genTimeMs: nowMs } as const;
    await receipts.keep("a", { kind: "cosigned", note: log.checkpoint(1).note });
    await receipts.keep("a", { kind: "cosigned", note });
    await receipts.keep("b", timestamp);
    const again = new ReceiptFile(folder, () => nowMs);
    expect(await again.newest(nowMs)).toEqual(
      new Map<string, object>([
        ["a", { kind: "cosigned", note }],
        ["b", timestamp],
      ]),
    );
    appendFileSync(join(folder, "receipts-2026-11-25-0000.jsonl"), "{}\n");
    await expect(again.newest(nowMs)).rejects.toMatchObject({ code: "evidence_unavailable" });
  });
});
