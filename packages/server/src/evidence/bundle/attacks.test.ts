import { ed25519Signer, type NoteSigner, newLogKey } from "@hoopish/protocol";
import { type Place, verifyBundle } from "@hoopish/protocol/bundle";
import { beforeAll, describe, expect, test } from "vitest";
import { type ArchivedFile, filesOf, gzipOf } from "./testing/archive.ts";
import { cut, ORIGIN, SyntheticLog, sampleDay, witness } from "./testing/synthetic-log.ts";
import { bundleOf, changed, codesOf, edit, editRecords, otherGzip, verify } from "./testing/verdict.ts";

let log: SyntheticLog;
let bundle: Buffer;
let key: string;
beforeAll(async () => {
  log = sampleDay();
  bundle = await bundleOf(log.export());
  key = log.signer.vkey;
});

type Change = (files: ArchivedFile[]) => readonly ArchivedFile[];
const other = ed25519Signer(ORIGIN, newLogKey());
const HALF = 14;

/** Each one is tried with the files alone changed, with all sums mended, and with the manifest signed again by the log's key. */
interface Attack {
  readonly name: string;
  readonly change: Change;
  /** Found even by an insider's hand: with manifest and sums made anew and signed with the log's own key. */
  readonly codes: readonly string[];
  readonly where: Place;
  readonly exit?: 1 | 2;
}

const swap = (lines: string[], a: number, b: number): string[] =>
  lines.map((line, i) => (i === a ? lines[b] : i === b ? lines[a] : line) as string);

const recordAttacks: readonly Attack[] = [
  {
    name: "an edited record",
    change: editRecords((lines) =>
      lines.map((line, i) => (i === HALF ? line.replace("bank.example", "evil.example") : line)),
    ),
    codes: ["root_differs"],
    where: { from: 9, to: 17 },
  },
  {
    name: "an edited last record",
    change: editRecords((lines) => [...lines.slice(0, -1), (lines.at(-1) as string).replace("gw-1", "gw-2")]),
    codes: ["root_differs"],
    where: { from: 33, to: 34 },
  },
  {
    name: "a deleted record",
    change: editRecords((lines) => lines.toSpliced(HALF, 1)),
    codes: ["records_missing", "root_differs", "source_gap"],
    where: { index: HALF },
  },
  {
    name: "an inserted record",
    change: editRecords((lines) => lines.toSpliced(HALF, 0, (lines[1] as string).replace("call_", "call_"))),
    codes: ["records_surplus", "root_differs", "source_repeats"],
    where: { index: HALF },
  },
  {
    name: "two records in each other's place",
    change: editRecords((lines) => swap(lines, HALF, HALF + 1)),
    codes: ["root_differs", "source_gap", "source_repeats"],
    where: { from: 9, to: 17 },
  },
  {
    name: "a truncated tail under the same checkpoint",
    change: editRecords((lines) => lines.slice(0, -3)),
    codes: ["export_differs", "records_missing"],
    where: { from: 31, to: 34 },
  },
  {
    name: "a record with white space",
    change: editRecords((lines) => lines.map((line, i) => (i === HALF ? line.replace(",", ", ") : line))),
    codes: ["record_not_canonical", "root_differs"],
    where: { index: HALF },
  },
  {
    name: "a record with a member twice",
    change: editRecords((lines) => lines.map((line, i) => (i === HALF ? line.replace('"v":1', '"v":1,"v":1') : line))),
    codes: ["record_not_canonical", "root_differs"],
    where: { index: HALF },
  },
  {
    name: "a record of 70,000 bytes",
    change: editRecords((lines) =>
      lines.map((line, i) => (i === HALF ? line.replace("gw-1", "g".repeat(70_000)) : line)),
    ),
    codes: ["record_not_canonical", "root_differs"],
    where: { index: HALF },
  },
  {
    name: "a record without its source",
    change: editRecords((lines) => lines.map((line, i) => (i === HALF ? line.replace(/"src":\{[^}]*\},/, "") : line))),
    codes: ["record_malformed", "root_differs", "source_gap"],
    where: { index: HALF },
  },
  {
    name: "records without their last newline",
    change: edit("records/000000.jsonl.gz", (old) => old.subarray(0, -1)),
    codes: ["file_malformed"],
    where: { file: "records/000000.jsonl.gz" },
  },
  {
    name: "bytes behind the gzip of the records",
    change: edit("records/000000.jsonl.gz", (old) => Buffer.concat([old, Buffer.from("x")])),
    codes: ["file_malformed"],
    where: { file: "records/000000.jsonl.gz" },
  },
];

const fileAttacks: readonly Attack[] = [
  {
    name: "an edited left edge",
    change: edit("left-edge.json", () => '{"hashes":[],"size":1}'),
    codes: ["left_edge_differs"],
    where: { file: "left-edge.json" },
  },
  {
    name: "an edited history",
    // Another letter, whichever it was: one root in sixty-four begins with the one that was written here.
    change: edit("checkpoints/history.jsonl", (old) =>
      old.toString().replace(/"root":"./, (found) => `"root":"${found.endsWith("A") ? "B" : "A"}`),
    ),
    codes: ["root_differs"],
    where: { file: "checkpoints/history.jsonl" },
  },
  {
    name: "a history with white space",
    change: edit("checkpoints/history.jsonl", (old) => old.toString().replace(",", ", ")),
    codes: ["file_malformed"],
    where: { file: "checkpoints/history.jsonl" },
  },
  {
    name: "other filters than the log's own record of this export",
    change: edit("scope.json", (old) =>
      old.toString().replace('"filters":{}', '"filters":{"user":"analyst@bank.example"}'),
    ),
    codes: ["export_differs", "payload_unexpected"],
    where: { index: 33 },
  },
  {
    name: "a requester who did not ask",
    change: edit("scope.json", (old) => old.toString().replaceAll("auditor@", "nobody@")),
    codes: ["export_differs"],
    where: { index: 33 },
  },
  {
    name: "a payload less, as if it had never been asked for",
    change: edit("scope.json", (old) => old.toString().replace('"payloads":true', '"payloads":false')),
    codes: ["export_differs", "payload_unexpected"],
    where: { index: 33 },
  },
];

describe.each([...recordAttacks, ...fileAttacks])("$name", ({ change, codes, where }) => {
  test("is found, and named", async () => {
    const report = await verify(changed(bundle, change), [key]);
    expect(report.verdict).toBe("tampered");
    expect(codesOf(report)).toEqual(expect.arrayContaining([...codes, "manifest_differs"]));
    expect(report.findings.map((finding) => finding.where)).toContainEqual(expect.objectContaining(where));
  });

  test("is found where the manifest was made to fit", async () => {
    const report = await verify(changed(bundle, change, "unsigned"), [key]);
    expect(codesOf(report)).toEqual(expect.arrayContaining([...codes, "manifest_differs"]));
  });

  test("is found where the log's own key has signed the manifest again", async () => {
    const report = await verify(changed(bundle, change, log.signer), [key]);
    expect(report.verdict).toBe("tampered");
    expect(codesOf(report)).toEqual(expect.arrayContaining([...codes]));
    expect(codesOf(report)).not.toContain("manifest_differs");
    expect(report.findings.map((finding) => finding.where)).toContainEqual(expect.objectContaining(where));
  });

  test("and signed with a foreign key of the same name, nothing in it is believed", async () => {
    const report = await verify(changed(bundle, change, other), [key]);
    expect(codesOf(report)).toContain("signature_missing");
  });
});

describe("payloads", () => {
  const first = (): string[] =>
    log.leaves.flatMap((leaf) => /"call":"(call_[0-9a-f]{32})"/.exec(leaf.toString())?.[1] ?? []);
  const request = (): string => `payloads/${first()[0]}/request`;
  const second = (): string => `payloads/${first()[2]}/request`;

  const attacks: readonly { name: string; change: () => Change; code: string; exit: 1 | 2 }[] = [
    {
      name: "edited",
      change: () => edit(request(), (old) => old.toString().replace("who", "whö")),
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "edited in its length",
      change: () => edit(request(), (old) => `${old}!`),
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "swapped with its salt for another call's",
      change: () => (files) => {
        const at = (path: string): Buffer => files.find((file) => file.path === path)?.content as Buffer;
        const [a, b] = [request(), second()];
        const swapped = new Map(
          [a, b].flatMap((path, i) =>
            [path, `${path}.salt`].map((one) => [one, one.replace(path, [b, a][i] as string)]),
          ),
        );
        return files.map((file) => ({ ...file, content: at(swapped.get(file.path) ?? file.path) }));
      },
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "with another salt",
      change: () => edit(`${request()}.salt`, () => `${Buffer.alloc(32, 1).toString("base64")}\n`),
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "with a salt of another form",
      change: () => edit(`${request()}.salt`, (old) => old.subarray(0, -1)),
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "without its salt",
      change: () => (files) => files.filter(({ path }) => path !== `${request()}.salt`),
      code: "payload_mismatch",
      exit: 1,
    },
    {
      name: "without itself, its salt left",
      change: () => (files) => files.filter(({ path }) => path !== request()),
      code: "payload_unexpected",
      exit: 1,
    },
    {
      name: "twice",
      change: () => (files) => {
        const at = files.findIndex(({ path }) => path === `${request()}.salt`);
        return files.toSpliced(at, 0, ...files.slice(at, at + 2));
      },
      code: "payload_unexpected",
      exit: 1,
    },
    {
      name: "of a call that is not in the log",
      change: () => (files) =>
        files.map((file) => ({
          ...file,
          path: file.path.replace(request(), `payloads/call_${"0".repeat(32)}/request`),
        })),
      code: "payload_unexpected",
      exit: 1,
    },
    {
      name: "gone",
      change: () => (files) => files.filter(({ path }) => !path.startsWith(request())),
      code: "payload_missing",
      exit: 2,
    },
  ];

  test.each(attacks)("$name: found and named", async ({ change, code, exit }) => {
    const report = await verify(changed(bundle, change()), [key]);
    expect(report.verdict).toBe("tampered");
    expect(codesOf(report)).toEqual(expect.arrayContaining([code, "manifest_differs"]));
    // By the hand of somebody who has the log's key: the commitment alone tells.
    const insider = await verify(changed(bundle, change(), log.signer), [key]);
    expect(insider.verdict).toBe(exit === 1 ? "tampered" : "incomplete");
    const finding = insider.findings.find((one) => one.code === code);
    expect(finding?.where.file).toContain("payloads/call_");
    if (code === "payload_missing") {
      expect(finding?.where).toMatchObject({ call: first()[0], field: "request", index: 1 });
      expect(insider.counts.payloads).toMatchObject({ MISSING: 1, PRESENT_OK: 23 });
    }
  });
});

describe("checkpoints", () => {
  test("an older genuine state is found where a checkpoint is known from outside, and cannot be without", async () => {
    const today = sampleDay();
    const old = await bundleOf(today.export());
    today.call();
    const pin = today.sign();
    const keys = [today.signer.vkey];
    const report = await verify(old, keys, { pin });
    expect([report.verdict, codesOf(report)]).toEqual(["tampered", ["older_than_pin"]]);
    const alone = await verify(old, keys);
    expect(alone.verdict).toBe("verified");
    expect(alone.unchecked[0]).toMatchObject({ code: "no_outside_checkpoint" });
    expect(alone.unchecked[0]?.message).toContain("cut back");
  });

  test("a log that was written anew and signed again is found with a pin, and cannot be without", async () => {
    const real = sampleDay();
    const pin = real.sign();
    const forged = sampleDay(new SyntheticLog(real.signer));
    const bundle = await bundleOf(forged.export());
    const keys = [real.signer.vkey];
    const report = await verify(bundle, keys, { pin });
    expect([report.verdict, codesOf(report)]).toEqual(["tampered", ["pin_differs"]]);
    expect(report.findings[0]?.where).toMatchObject({ to: real.size });
    expect((await verify(bundle, keys)).verdict).toBe("verified");
  });

  test("a pin in the range, at its start and at its end agrees; one from before says nothing", async () => {
    const day = sampleDay();
    const keys = [day.signer.vkey];
    const [early, start, middle] = day.history.map(({ note }) => note);
    const whole = await bundleOf(day.export({ start: day.history[1]?.size as number }));
    for (const pin of [start, middle, day.history.at(-1)?.note]) {
      const report = await verify(whole, keys, { pin });
      expect(report.verdict).toBe("verified");
      expect(report.anchors).toMatchObject([{ source: "pin" }]);
    }
    const report = await verify(whole, keys, { pin: early });
    expect([report.verdict, report.anchors.length]).toEqual(["verified", 0]);
    expect(report.unchecked.map(({ code }) => code)).toContain("checkpoint_before_range");
    const last = await verify(whole, keys, { pin: day.history.at(-1)?.note });
    expect(last.unchecked.map(({ code }) => code)).not.toContain("no_outside_checkpoint");
  });

  test("a signature copied from another checkpoint does not fit", async () => {
    const older = log.history[0]?.note as string;
    const copied = changed(
      bundle,
      edit("checkpoints/end.note", (note) => note.toString().replace(/— .*\n/, older.slice(older.indexOf("— ")))),
      log.signer,
    );
    const report = await verify(copied, [key]);
    expect([report.verdict, codesOf(report)]).toEqual(["tampered", ["signature_wrong"]]);
    expect(report.findings[0]?.where.file).toBe("checkpoints/end.note");
  });

  test("an older checkpoint in the place of the end's", async () => {
    const replaced = changed(
      bundle,
      edit("checkpoints/end.note", () => log.history[1]?.note as string),
      log.signer,
    );
    expect(codesOf(await verify(replaced, [key]))).toEqual(["checkpoint_differs"]);
  });

  test("the start of another place in the log", async () => {
    const day = sampleDay();
    const source = day.export({ start: day.history[1]?.size as number });
    const moved = changed(
      await bundleOf(source),
      edit("checkpoints/start.note", () => day.history[0]?.note as string),
      day.signer,
    );
    expect(codesOf(await verify(moved, [day.signer.vkey]))).toContain("checkpoint_differs");
  });

  test("another log's key, and a key of the same name, are not the log's", async () => {
    const stranger = ed25519Signer("other.example/log", newLogKey());
    for (const vkey of [stranger.vkey, other.vkey]) {
      const report = await verify(bundle, [vkey]);
      expect(report.verdict).toBe("tampered");
      expect(codesOf(report)).toContain("signature_missing");
      expect(report.keys).toEqual([]);
    }
  });

  test("what only a witness has signed is nobody's word", async () => {
    const eye = witness("witness.example/w", log.nowMs);
    const cosigned = changed(
      bundle,
      edit("checkpoints/end.note", (old) => signedAnew(old, eye)),
      log.signer,
    );
    const report = await verify(cosigned, [key, eye.vkey]);
    expect(codesOf(report)).toContain("signature_missing");
    await expect(verify(bundle, [eye.vkey])).rejects.toMatchObject({ code: "usage" });
  });

  test("keys and pins that are none are the examiner's mistake, not the bundle's", async () => {
    await expect(verify(bundle, [])).rejects.toMatchObject({ code: "usage" });
    await expect(verify(bundle, ["nonsense"])).rejects.toMatchObject({ code: "usage" });
    await expect(verify(bundle, [key], { pin: "nonsense" })).rejects.toMatchObject({ code: "usage" });
    await expect(verify(bundle, [other.vkey], { pin: log.history[0]?.note })).rejects.toMatchObject({ code: "usage" });
  });
});

describe("the manifest", () => {
  test.each(["VERIFY.md", "checkpoints/history.jsonl", "payloads/000000.sha256"])("an edited %s", async (path) => {
    const report = await verify(
      changed(
        bundle,
        edit(path, (old) => old.toString().replace(/[a-f]/, "0")),
      ),
      [key],
    );
    expect(report.verdict).toBe("tampered");
    expect(report.findings.map(({ where }) => where.file)).toContain(path);
  });

  test("two signatures, a stranger's among them, are one too many", async () => {
    const twice = changed(
      bundle,
      edit("manifest.note", (old) => `${old}— stranger AAAAAAA=\n`),
    );
    expect(codesOf(await verify(twice, [key]))).toEqual(["file_malformed"]);
  });

  test("a manifest of another bundle, with its own good signature", async () => {
    const elsewhere = sampleDay(new SyntheticLog(log.signer));
    const theirs = await bundleOf(elsewhere.export());
    const files = new Map(filesOf(theirs).map(({ path, content }) => [path, content]));
    const mixed = changed(bundle, (all) =>
      all.map((file) =>
        file.path.startsWith("manifest") ? { ...file, content: files.get(file.path) as Buffer } : file,
      ),
    );
    expect(codesOf(await verify(mixed, [key]))).toContain("manifest_differs");
  });

  test.each([
    "VERIFY.md",
    "scope.json",
    "checkpoints/end.note",
    "left-edge.json",
    "checkpoints/history.jsonl",
    "records/000000.jsonl.gz",
    "payloads/000000.sha256",
    "manifest.json",
    "manifest.note",
  ])("a bundle without %s", async (path) => {
    for (const mend of [undefined, log.signer]) {
      if (mend !== undefined && (path === "scope.json" || path.startsWith("manifest"))) continue;
      const report = await verify(
        changed(bundle, (files) => files.filter((file) => file.path !== path), mend),
        [key],
      );
      expect(report.verdict, path).toBe("tampered");
    }
  });
});

describe("a bundle that is made to cost", () => {
  test("of many empty files of records, payloads that nobody commits to, or anchors, is not read on", async () => {
    const many = (path: (i: number) => string, before: string) => (files: ArchivedFile[]) => {
      const extra = Array.from({ length: 50_000 }, (_, i) => ({ path: path(i), content: Buffer.alloc(0) }));
      return files.toSpliced(files.findIndex((file) => file.path.startsWith(before)) + 1, 0, ...extra);
    };
    const hex = (i: number): string => i.toString(16).padStart(32, "0");
    const attacks = [
      many((i) => `records/${String(i + 1).padStart(6, "0")}.jsonl.gz`, "records/"),
      many((i) => `payloads/call_${hex(i)}/request`, "records/"),
      many((i) => `anchors/a${i}`, "checkpoints/history"),
    ];
    for (const attack of attacks) {
      const report = await verify(changed(bundle, attack), [key]);
      expect(report.verdict).toBe("tampered");
      expect(report.unchecked.map(({ code }) => code)).toEqual(["rest"]);
    }
  });

  test("of a file of records that unpacks to gigabytes, is not unpacked", async () => {
    const endless = edit("records/000000.jsonl.gz", () => gzipOf(Buffer.alloc(300_000_000)));
    const before = process.memoryUsage.rss();
    const report = await verify(changed(bundle, endless), [key]);
    expect(codesOf(report)).toContain("file_malformed");
    expect(process.memoryUsage.rss() - before).toBeLessThan(500_000_000);
  });

  test("does not leave its source open when it is not read to the end", async () => {
    let open = 0;
    async function* source(): AsyncGenerator<Buffer> {
      open += 1;
      try {
        yield* cut(otherGzip(bundle), 100);
      } finally {
        open -= 1;
      }
    }
    expect((await verifyBundle(source(), { keys: [key] })).verdict).toBe("tampered");
    expect(open).toBe(0);
  });
});

test("another gzip of the same archive is not the one that was written", async () => {
  expect(codesOf(await verify(otherGzip(bundle), [key]))).toEqual(["archive_malformed"]);
});

function signedAnew(note: Buffer, signer: NoteSigner): string {
  const text = note.toString().slice(0, note.toString().indexOf("\n\n") + 1);
  const signature = Buffer.concat([signer.keyId, signer.sign(Buffer.from(text))]).toString("base64");
  return `${text}\n— ${signer.name} ${signature}\n`;
}
