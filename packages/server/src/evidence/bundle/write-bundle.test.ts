import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { CHUNK_RECORDS, MAX_FINDINGS, MAX_HISTORY } from "@hoopish/protocol/bundle";
import { describe, expect, onTestFinished, test } from "vitest";
import type { BundleSource, SignedRoot } from "./port.ts";
import { collect, filesOf } from "./testing/archive.ts";
import { cut, SyntheticLog, sampleDay } from "./testing/synthetic-log.ts";
import { bundleOf, changed, codesOf, editRecords, verify } from "./testing/verdict.ts";
import { thinnedHistory } from "./thinned-history.ts";
import { writeBundle } from "./write-bundle.ts";

const MIB = 1024 * 1024;

describe("writeBundle", () => {
  test("is what the verifier takes, with a word for everything in it", async () => {
    const log = sampleDay();
    const view = { name: "calls.csv", content: () => cut(Buffer.from("id,time\r\n"), 3) };
    const report = await verify(await bundleOf(log.export({ views: [view] })), [log.signer.vkey]);
    expect(report).toMatchObject({
      verdict: "verified",
      origin: "gateway.bank.example/hoopish",
      range: { start: 0, end: 34, first: "2026-11-23T08:00:00.000Z" },
      requester: { name: "auditor@bank.example" },
      counts: { records: 34, payloads: { PRESENT_OK: 24, PURGED: 2, MISSING: 0, MISMATCH: 0 }, uncommitted: 1 },
      findings: [],
      omitted: 0,
      keys: [log.signer.vkey],
    });
    expect(report.unchecked.map(({ code }) => code)).toEqual([
      "no_outside_checkpoint",
      "interrupted_payloads",
      "views",
    ]);
  });

  test("begins at any checkpoint of the log, and at none", async () => {
    const log = sampleDay();
    for (const start of [0, ...log.history.map(({ size }) => size)]) {
      const report = await verify(await bundleOf(log.export({ start })), [log.signer.vkey]);
      expect([report.verdict, report.range.start, report.range.end]).toEqual(["verified", start, log.size]);
    }
  });

  test("is the same bytes in whatever pieces the source answers, and goes on at any byte", async () => {
    const source = sampleDay().export();
    const whole = await bundleOf(source);
    const slow: BundleSource = {
      ...source,
      records: async function* (from, to) {
        for await (const batch of source.records(from, to)) for (const leaf of batch) yield [leaf];
      },
      payloads: async function* (wanted) {
        for await (const payloads of source.payloads(wanted)) {
          yield payloads.toReversed().map((payload) => ({
            ...payload,
            chunks: async function* () {
              for await (const bytes of payload.chunks()) yield* cut(Buffer.from(bytes), 7);
            },
          }));
        }
      },
    };
    expect(await bundleOf(slow)).toEqual(whole);
    for (const fromOffset of [1, 10, 4_000, whole.length - 1, whole.length]) {
      expect(await collect(writeBundle(source, { fromOffset }))).toEqual(whole.subarray(fromOffset));
    }
  });

  test("cuts at 4,096 records, and the verifier says between which checkpoints the first bad one is", async () => {
    const log = new SyntheticLog();
    for (let i = 0; i < 2 * CHUNK_RECORDS + 10; i++) {
      log.append({ type: "server.stopped", reason: `reason ${i}` });
      if (i % 1_000 === 999) log.sign();
    }
    const bundle = await bundleOf(log.export());
    expect(filesOf(bundle).filter(({ path }) => path.startsWith("records/"))).toHaveLength(3);
    expect((await verify(bundle, [log.signer.vkey])).verdict).toBe("verified");
    const bad = changed(
      bundle,
      editRecords((lines) => lines.map((line) => line.replace("reason 5500", "reason 5501")), "000001"),
      log.signer,
    );
    const report = await verify(bad, [log.signer.vkey]);
    expect(report.findings).toMatchObject([{ code: "root_differs", where: { from: 5_000, to: 6_000 } }]);
    const short = changed(
      bundle,
      editRecords((lines) => lines.slice(1), "000001"),
      log.signer,
    );
    expect(codesOf(await verify(short, [log.signer.vkey]))).toContain("records_missing");
    const gone = changed(bundle, (files) => files.filter(({ path }) => path !== "records/000001.jsonl.gz"), log.signer);
    expect(codesOf(await verify(gone, [log.signer.vkey]))).toContain("file_missing");
    const wrong = changed(
      bundle,
      editRecords((lines) => lines.map((line) => line.replace('"v":1', '"v": 1')), "000001"),
    );
    const many = await verify(wrong, [log.signer.vkey]);
    expect(many.findings.length).toBe(MAX_FINDINGS);
    expect(many.omitted).toBeGreaterThan(CHUNK_RECORDS - MAX_FINDINGS);
  });

  test("breaks off where the source contradicts itself", async () => {
    const source = sampleDay().export();
    const records = { ...source, records: (from: number, to: number) => source.records(from, to - 1) };
    await expect(bundleOf(records)).rejects.toThrow("the log ends before record");
    const skipping = { ...source, records: (from: number, to: number) => source.records(from + 1, to) };
    await expect(bundleOf(skipping)).rejects.toThrow("the log gave record 1 in the place of 0");
    const payloads: BundleSource["payloads"] = async function* (wanted) {
      for await (const some of source.payloads(wanted)) {
        yield some.map((payload) => ({ ...payload, length: payload.length + 1 }));
      }
    };
    await expect(bundleOf({ ...source, payloads })).rejects.toThrow("bytes that were announced");
    const silent: BundleSource["payloads"] = async function* (wanted) {
      for await (const some of source.payloads(wanted.slice(1))) yield some;
    };
    await expect(bundleOf({ ...source, payloads: silent })).rejects.toThrow("did not answer for every call");
  });

  test("holds little of a payload of 256 MiB", { timeout: 60_000 }, async () => {
    const log = new SyntheticLog();
    const piece = Buffer.alloc(64 * 1024, "tokens and more tokens ");
    const count = (256 * MIB) / piece.length;
    const call = log.call({ request: Buffer.concat(Array.from({ length: 3 }, () => piece)) });
    const source = log.export();
    const large: BundleSource = {
      ...source,
      payloads: async function* (wanted) {
        for await (const some of source.payloads(wanted)) {
          yield some.map((payload) => ({
            ...payload,
            length: count * piece.length,
            chunks: async function* () {
              for (let i = 0; i < count; i++) yield piece;
            },
          }));
        }
      },
    };
    const before = process.memoryUsage.rss();
    let peak = before;
    let written = 0;
    async function* watched(): AsyncGenerator<Buffer> {
      for await (const bytes of writeBundle(large)) {
        peak = Math.max(peak, process.memoryUsage.rss());
        written += bytes.length;
        yield bytes;
      }
    }
    const { verifyBundle } = await import("@hoopish/protocol/bundle");
    const report = await verifyBundle(watched(), { keys: [log.signer.vkey] });
    expect(report.findings).toMatchObject([{ code: "payload_mismatch", where: { call, field: "request" } }]);
    expect(written).toBeGreaterThan(100_000);
    expect((peak - before) / MIB).toBeLessThan(100);
  });

  test("is tar and gzip to those who have never heard of it", () => {
    const folder = mkdtempSync(join(tmpdir(), "hoopish-bundle-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return bundleOf(sampleDay().export()).then((bundle) => {
      writeFileSync(join(folder, "ev.tar.gz"), bundle);
      const listed = execFileSync("tar", ["-tzf", "ev.tar.gz"], { cwd: folder, encoding: "utf8" }).trim().split("\n");
      expect(listed).toEqual(filesOf(bundle).map(({ path }) => path));
      execFileSync("gzip", ["-t", "ev.tar.gz"], { cwd: folder });
      expect(gunzipSync(bundle).length % 512).toBe(0);
    });
  });
});

describe("thinnedHistory", () => {
  async function* roots(count: number): AsyncGenerator<SignedRoot> {
    for (let size = 1; size <= count; size++) yield { size, root: Buffer.alloc(32), time: "2026-11-23T08:00:00.000Z" };
  }

  test.each([0, 1, MAX_HISTORY - 1, MAX_HISTORY, MAX_HISTORY + 1, 3 * MAX_HISTORY + 5])(
    "of %i checkpoints keeps few enough, evenly, and the last",
    async (count) => {
      const kept = await thinnedHistory(roots(count));
      expect(kept.length).toBeLessThanOrEqual(MAX_HISTORY);
      expect(kept.at(-1)?.size).toBe(count === 0 ? undefined : count);
      const gaps = kept.slice(1).map(({ size }, i) => size - (kept[i]?.size ?? 0));
      expect(Math.max(0, ...gaps.slice(0, 1_000))).toBeLessThanOrEqual(8);
    },
  );
});
