import { type CallId, newCallId, type RetentionClass } from "@hoopish/protocol";
import { describe, expect, test } from "vitest";
import { answeredDraft, decidedDraft } from "../sample-records.ts";
import { SyntheticLog, sampleDay } from "./testing/synthetic-log.ts";
import { bundleOf, changed, codesOf, edit, verify } from "./testing/verdict.ts";

const NOVEMBER = { from: "2026-11-01T00:00:00.000Z", to: "2026-12-01T00:00:00.000Z" };
const text = (bytes: string): Buffer => Buffer.from(bytes);

async function reportOf(log: SyntheticLog, options: Parameters<SyntheticLog["export"]>[0] = {}) {
  return verify(await bundleOf(log.export(options)), [log.signer.vkey]);
}

/** A log with some calls whose payloads the vault does not have any more. */
function logWithout(paths: (calls: readonly CallId[]) => readonly string[]): { log: SyntheticLog; gone: string[] } {
  const log = new SyntheticLog();
  const calls = [0, 1, 2].map((i) => log.call({ request: text(`q${i}`), delivered: text(`a${i}`) }));
  calls.push(log.call({ verdict: "hold", request: text("held") }));
  const gone = [...paths(calls)];
  for (const path of gone) log.vault.delete(path);
  return { log, gone };
}

describe("a payload that is not here", () => {
  test("is MISSING where nothing explains it, and the bundle incomplete", async () => {
    const { log, gone } = logWithout(([a, b]) => [`${a}/request`, `${b}/delivered`]);
    const report = await reportOf(log);
    expect(report.verdict).toBe("incomplete");
    expect(report.counts.payloads).toMatchObject({ PRESENT_OK: 5, MISSING: 2, PURGED: 0 });
    expect(report.findings.map(({ where }) => `${where.call}/${where.field}`).sort()).toEqual([...gone].sort());
  });

  test("is PURGED where a record of its class and time says so, however far behind it stands", async () => {
    const { log, gone } = logWithout(([a, b]) => [`${a}/request`, `${b}/delivered`]);
    for (let i = 0; i < 5_000; i++) log.append({ type: "server.stopped", reason: "drained" });
    log.purge({ class: "default", ...NOVEMBER, paths: gone });
    const report = await reportOf(log);
    expect(report.verdict).toBe("verified");
    expect(report.counts.payloads).toMatchObject({ PRESENT_OK: 5, PURGED: 2, MISSING: 0 });
    expect(report.purges).toMatchObject([{ index: log.size - 2, class: "default", count: 2, here: 2 }]);
  });

  test.each<[string, RetentionClass, { from: string; to: string }]>([
    ["another class", "heldOrBlocked", NOVEMBER],
    ["another month", "default", { from: "2026-10-01T00:00:00.000Z", to: "2026-11-01T00:00:00.000Z" }],
  ])("is not explained by a purge of %s", async (_, of, when) => {
    const { log, gone } = logWithout(([a]) => [`${a}/request`]);
    log.purge({ class: of, ...when, paths: gone });
    const report = await reportOf(log);
    expect([report.verdict, codesOf(report)]).toEqual(["incomplete", ["payload_missing"]]);
  });

  test("nor by a purge that counts fewer than are gone", async () => {
    const { log, gone } = logWithout(([a, b, c]) => [a, b, c].map((call) => `${call}/request`));
    log.purge({ class: "default", ...NOVEMBER, paths: gone.slice(0, 2) });
    const report = await reportOf(log);
    expect([report.verdict, codesOf(report)]).toEqual(["incomplete", ["purge_short"]]);
  });

  test("is WITHHELD where the filters leave its call out, and all records are there all the same", async () => {
    const log = sampleDay();
    const filtered = await reportOf(log, { filters: { user: "analyst@bank.example" } });
    expect(filtered.verdict).toBe("verified");
    expect(filtered.counts.records).toBe(log.size);
    expect(filtered.counts.payloads).toMatchObject({ PRESENT_OK: 8, WITHHELD: 18, PURGED: 0 });
    const none = await reportOf(sampleDay(), { payloads: false });
    expect(none.verdict).toBe("verified");
    expect(none.counts.payloads).toMatchObject({ PRESENT_OK: 0, WITHHELD: 26 });
    const connection = await reportOf(sampleDay(), { filters: { connection: "nowhere" } });
    expect(connection.counts.payloads).toMatchObject({ PRESENT_OK: 0, WITHHELD: 26 });
  });

  test("is HELD where a legal hold keeps it closed, and the hold is in the log", async () => {
    const log = sampleDay();
    const filters = { user: "analyst@bank.example" };
    log.append({ type: "retention.held", hold: "hold-7", reason: "litigation", by: "counsel", filters });
    const report = await reportOf(log, { withheld: [{ hold: "hold-7", filters }] });
    expect(report.verdict).toBe("verified");
    expect(report.counts.payloads).toMatchObject({ HELD: 8, PRESENT_OK: 16, PURGED: 2 });
    expect(report.unchecked.map(({ code }) => code)).not.toContain("hold");
    const unknown = await reportOf(sampleDay(), { withheld: [{ hold: "hold-8", filters }] });
    expect(unknown.unchecked.map(({ code }) => code)).toContain("hold");
  });

  test("of a call decided before the range: its purge is told by the time in the call's id", async () => {
    const log = new SyntheticLog();
    const call = `call_${log.nowMs.toString(16).padStart(12, "0")}${newCallId().slice(17)}` as CallId;
    log.append(decidedDraft({ call }));
    log.sign();
    const start = log.size;
    log.append(answeredDraft({ call }, log.keep(call, "delivered", text("an answer"))));
    const whole = await reportOf(log, { start });
    expect([whole.verdict, whole.counts.payloads.PRESENT_OK]).toEqual(["verified", 1]);
    log.purge({ class: "default", ...NOVEMBER, paths: [`${call}/delivered`] });
    const purged = await reportOf(log, { start });
    expect([purged.verdict, purged.counts.payloads.PURGED]).toEqual(["verified", 1]);
    expect(purged.unchecked.map(({ code }) => code)).toContain("retention_class");
  });
});

describe("what a crash cut", () => {
  test("is here without a commitment, counted, and covered by the manifest alone", async () => {
    const log = sampleDay();
    const bundle = await bundleOf(log.export());
    const report = await verify(bundle, [log.signer.vkey]);
    expect(report.counts.uncommitted).toBe(1);
    expect(report.unchecked.map(({ code }) => code)).toContain("interrupted_payloads");
    const edited = changed(
      bundle,
      edit(/\/delivered$/, (old) => old.toString().replace("half", "full")),
    );
    expect(codesOf(await verify(edited, [log.signer.vkey]))).toEqual(["manifest_differs"]);
  });
});

describe("numbers of a process", () => {
  const three = (numbers: readonly number[], boots: readonly string[] = []): SyntheticLog => {
    const log = new SyntheticLog();
    for (const [i, n] of numbers.entries()) log.append({ type: "server.stopped", reason: "x" }, boots[i] ?? "a", n);
    return log;
  };
  /** The export's own record is of the process `boot-1`. */
  test.each<[string, number[], string[], string[]]>([
    ["without a gap", [0, 1, 2], [], []],
    ["of two processes, mixed", [0, 0, 1, 1], ["a", "b", "a", "b"], []],
    ["with a gap", [0, 1, 3], [], ["source_gap"]],
    ["that do not begin with 0, where the log begins", [2, 3], [], ["source_gap"]],
    ["twice", [0, 1, 1], [], ["source_repeats"]],
    ["going back", [0, 1, 2, 1], [], ["source_repeats"]],
  ])("%s", async (_, numbers, boots, codes) => {
    const report = await reportOf(three(numbers, boots));
    expect(codesOf(report)).toEqual(codes);
    expect(report.verdict).toBe(
      codes.length === 0 ? "verified" : codes[0] === "source_gap" ? "incomplete" : "tampered",
    );
  });

  test("of a process that began before the range say nothing of what came before", async () => {
    const log = three([0, 1, 2]);
    log.sign();
    const start = log.size;
    log.append({ type: "server.stopped", reason: "x" }, "a", 3);
    log.append({ type: "server.stopped", reason: "x" }, "c", 17);
    expect((await reportOf(log, { start })).verdict).toBe("verified");
    log.append({ type: "server.stopped", reason: "x" }, "c", 19);
    expect(codesOf(await reportOf(log, { start }))).toEqual(["source_gap"]);
  });

  test("a loss that the log itself tells of", async () => {
    const log = sampleDay();
    log.append({ type: "log.gap", reason: "the journal was torn", boot: "boot-0" });
    const report = await reportOf(log);
    expect([report.verdict, codesOf(report)]).toEqual(["incomplete", ["log_gap"]]);
  });
});
