import { hash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTimestampAuthority, HAS_OPENSSL } from "@hoopish/fixtures/timestamp-authority";
import { addSignatures, encodeTimestampRequest, readAuthorities, signatureLine } from "@hoopish/protocol";
import { describe, expect, onTestFinished, test } from "vitest";
import { SyntheticLog, sampleDay, witness } from "./testing/synthetic-log.ts";
import { bundleOf, codesOf, verify } from "./testing/verdict.ts";

/** What somebody outside has seen of a log, and a bundle carries along. */

const textOf = (note: string): string => note.slice(0, note.indexOf("\n\n") + 1);
const file = (name: string, note: string | Uint8Array): { name: string; bytes: Uint8Array } => ({
  name,
  bytes: Buffer.from(note),
});

describe("a witness's cosignature", () => {
  const eye = witness("bank.example/audit", Date.parse("2026-11-23T11:00:00Z"));
  const cosigned = (note: string): string => addSignatures(note, signatureLine(eye, textOf(note)));

  test("confirms the log up to there, for whoever brings the witness's key", async () => {
    const log = sampleDay();
    const { note, size } = log.history[1] as (typeof log.history)[number];
    const bundle = await bundleOf(log.export({ anchors: [file("witness-1.note", cosigned(note))] }));
    const report = await verify(bundle, [log.signer.vkey, eye.vkey]);
    expect(report.verdict).toBe("verified");
    expect(report.anchors).toEqual([
      { source: "anchors/witness-1.note", size, witnesses: [eye.name], time: "2026-11-23T11:00:00.000Z" },
    ]);
    expect(report.unchecked[0]?.message).toContain(`confirms the records from ${size} on`);
    // The bundle's own copy without the key of the witness is nobody's word but the log's.
    const without = await verify(bundle, [log.signer.vkey]);
    expect(without.unchecked[0]?.message).toContain("confirms this log");
  });

  test("of the real log gives away one that was written anew, with the log's own key", async () => {
    const real = sampleDay();
    const seen = cosigned(real.history[1]?.note as string);
    const forged = sampleDay(new SyntheticLog(real.signer));
    const bundle = await bundleOf(forged.export({ anchors: [file("witness-1.note", seen)] }));
    const report = await verify(bundle, [real.signer.vkey, eye.vkey]);
    expect([report.verdict, codesOf(report), report.anchors]).toEqual(["tampered", ["anchor_differs"], []]);
  });

  test("of more records than there are gives away one that was cut back", async () => {
    const log = sampleDay();
    const longer = sampleDay();
    for (let i = 0; i < 9; i++) longer.call();
    const ahead = new SyntheticLog(log.signer);
    for (const leaf of longer.leaves) ahead.appendLeaf(leaf);
    const bundle = await bundleOf(log.export({ anchors: [file("witness-1.note", cosigned(ahead.sign()))] }));
    const report = await verify(bundle, [log.signer.vkey, eye.vkey]);
    expect([report.verdict, codesOf(report)]).toEqual(["tampered", ["older_than_anchor"]]);
  });

  test("that does not fit makes the note worthless", async () => {
    const log = sampleDay();
    const [first = "", second = ""] = log.history.map(({ note }) => note);
    const copied = addSignatures(first, signatureLine(eye, textOf(second)));
    const bundle = await bundleOf(log.export({ anchors: [file("witness-1.note", copied)] }));
    expect(codesOf(await verify(bundle, [log.signer.vkey, eye.vkey]))).toEqual(["signature_wrong"]);
  });

  test("a kind of anchor that nobody knows is named, and not believed", async () => {
    const log = sampleDay();
    const report = await verify(await bundleOf(log.export({ anchors: [file("tomorrow.json", "{}")] })), [
      log.signer.vkey,
    ]);
    expect(report.verdict).toBe("verified");
    expect(report.unchecked.map(({ code }) => code)).toContain("anchor");
  });
});

describe.skipIf(!HAS_OPENSSL)("a timestamp of `openssl ts` (skipped where openssl is not there)", () => {
  const authorityOf = (): ReturnType<typeof createTimestampAuthority> => {
    const folder = mkdtempSync(join(tmpdir(), "hoopish-tsa-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return createTimestampAuthority(folder);
  };

  test("says when a checkpoint was there, by an authority that the examiner trusts", async () => {
    const log = sampleDay();
    const authority = authorityOf();
    const [first = "", second = ""] = log.history.map(({ note }) => note);
    const imprint = hash("sha256", first, "buffer");
    const response = await authority.reply(encodeTimestampRequest(imprint, randomBytes(16)));
    const authorities = readAuthorities(authority.ca);
    const keys = [log.signer.vkey];

    const good = [file("timestamp-1.note", first), file("timestamp-1.tsr", response)];
    const bundle = await bundleOf(log.export({ anchors: good }));
    const report = await verify(bundle, keys, { authorities });
    expect(report.verdict).toBe("verified");
    expect(Math.abs(Date.parse(report.anchors[0]?.time ?? "") - Date.now())).toBeLessThan(60_000);
    const unknown = await verify(bundle, keys);
    expect([unknown.verdict, unknown.unchecked.map(({ code }) => code)]).toEqual([
      "verified",
      expect.arrayContaining(["timestamp"]),
    ]);
    const foreign = await verify(bundle, keys, { authorities: readAuthorities(authorityOf().ca) });
    expect(codesOf(foreign)).toEqual(["anchor_differs"]);

    const moved = [file("timestamp-1.note", second), file("timestamp-1.tsr", response)];
    const other = await verify(await bundleOf(sampleDay(log).export({ anchors: moved })), keys, { authorities });
    expect(codesOf(other)).toContain("anchor_differs");
    const alone = await verify(await bundleOf(log.export({ anchors: [file("timestamp-1.tsr", response)] })), keys);
    expect(codesOf(alone)).toContain("file_unexpected");
  });
});
