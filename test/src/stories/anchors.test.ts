import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createTimestampAuthority,
  HAS_OPENSSL,
  startTimestampServer,
  type TimestampAuthority,
  type TimestampServer,
} from "@hoopish/fixtures/timestamp-authority";
import {
  consistencyProof,
  ed25519Signer,
  Frontier,
  formatCheckpoint,
  leafHash,
  newLogKey,
  nodeHash,
  openCheckpoint,
  parseCheckpoint,
  parseVkey,
  signNote,
} from "@hoopish/protocol";
import { type Anchor, Anchors, createAnchors, type LocalLog, ReceiptFile, refuseIfBehind } from "@hoopish/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Program, run } from "../world/program.ts";

/** Where a log's checkpoints go: a file, a witness that somebody else runs, an authority of timestamps; all real. */

const ORIGIN = "gateway.bank.example/hoopish";

/** A log as the store keeps it; a copy is a backup. */
class Log {
  readonly leaves: readonly Buffer[];
  static readonly signer = ed25519Signer(ORIGIN, newLogKey());

  constructor(leaves: readonly Buffer[]) {
    this.leaves = leaves;
  }

  append(...records: readonly string[]): Log {
    return new Log([...this.leaves, ...records.map((record) => leafHash(Buffer.from(record)))]);
  }

  local(): LocalLog {
    const frontier = new Frontier();
    for (const leaf of this.leaves) frontier.push(leaf);
    const node = (level: number, index: number): Buffer =>
      level === 0
        ? (this.leaves[index] as Buffer)
        : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
    return {
      origin: ORIGIN,
      size: this.leaves.length,
      root: frontier.root(),
      verifiers: [parseVkey(Log.signer.vkey)],
      consistency: async (from, to) => consistencyProof(from, to, node),
    };
  }
}

const records = (count: number, what = "record"): string[] => Array.from({ length: count }, (_, n) => `${what} ${n}`);

describe.skipIf(!HAS_OPENSSL)("anchors of a log (skipped where openssl is not there)", () => {
  let folder = "";
  let authority: TimestampAuthority;
  let tsa: TimestampServer;
  let witness: Program;
  let witnessKey = "";
  let witnessUrl = "";

  const witnessArgs = (): string[] => ["--key", join(folder, "w.key"), "--state", join(folder, "w.state")];
  const startWitness = async (): Promise<void> => {
    const args = [...witnessArgs(), "--listen", "127.0.0.1:0", "--log", Log.signer.vkey];
    witness = run("hoopish", ["--json", "witness", ...args]);
    witnessUrl = (await witness.event<{ event: string; url: string }>(({ event }) => event === "ready")).url;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hoopish-anchors-"));
    authority = createTimestampAuthority(mkdtempSync(join(folder, "tsa-")));
    tsa = await startTimestampServer(authority);
    const init = run("hoopish", ["witness", "init", "--quiet", "--name", "bank.example/audit", ...witnessArgs()]);
    expect((await init.ended).code).toBe(0);
    witnessKey = init.stdout.trim();
    await startWitness();
  });
  afterAll(async () => {
    await witness?.stop("SIGINT");
    await tsa?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const receipts = (): ReceiptFile => new ReceiptFile(join(folder, "receipts"), Date.now);
  const anchorsOf = (log: Log, required = false): readonly Anchor[] =>
    createAnchors(
      {
        evidence: {
          origin: ORIGIN,
          keyFile: join(folder, "log.key"),
          vaultKeyFile: join(folder, "vault.key"),
          previousKeys: [],
          anchors: [
            { kind: "file", folder: join(folder, "audit"), required },
            { kind: "witness", url: witnessUrl, vkey: witnessKey, everyMs: 50, required },
            { kind: "timestamp", url: tsa.url, caFile: authority.caFile, everyMs: 50, required: false },
          ],
        },
      },
      { consistency: log.local().consistency, now: Date.now },
    );
  const failures: unknown[] = [];

  /** What the server does: check, sign, persist, publish. @returns the status of its anchors at the end */
  const serve = async (log: Log): Promise<ReturnType<Anchors["status"]>> => {
    const local = log.local();
    const anchors = anchorsOf(log);
    await refuseIfBehind(anchors, local, { warn: (_anchor, error) => void failures.push(error) });
    const text = formatCheckpoint({ origin: ORIGIN, size: BigInt(local.size), root: local.root });
    const kept = receipts();
    const running = new Anchors(anchors, {
      now: Date.now,
      report: ({ error }) => void failures.push(error),
      keep: (anchor, receipt) => kept.keep(anchor, receipt),
    });
    running.publish(signNote(text, [Log.signer]), parseCheckpoint(text));
    await running.close(10_000);
    return running.status();
  };

  const yesterday = new Log([]).append(...records(100));
  const today = yesterday.append(...records(57, "today's"));

  it("take every checkpoint, and give back what an examiner can check alone", async () => {
    for (const log of [yesterday, today]) {
      const status = await serve(log);
      expect(status.map(({ published, failures: count }) => [published?.size, count])).toEqual(
        Array.from({ length: 3 }, () => [log.leaves.length, 0]),
      );
    }
    expect(failures).toEqual([]);
    const newest = [...(await receipts().newest(Date.now())).values()];
    expect(newest.map(({ kind }) => kind).sort()).toEqual(["cosigned", "timestamp"]);
    for (const receipt of newest) {
      if (receipt.kind === "cosigned") {
        const { checkpoint, verified } = openCheckpoint(receipt.note, [Log.signer.vkey, witnessKey].map(parseVkey));
        expect(checkpoint.size).toBe(157n);
        expect(verified.map(({ name }) => name)).toEqual([ORIGIN, "bank.example/audit"]);
      } else {
        writeFileSync(join(folder, "note"), receipt.note);
        writeFileSync(join(folder, "note.tsr"), receipt.response);
        const args = ["ts", "-verify", "-data", join(folder, "note"), "-in", join(folder, "note.tsr")];
        execFileSync("openssl", [...args, "-CAfile", authority.caFile], { stdio: "ignore" });
      }
    }
  });

  it("a database of yesterday does not sign, whichever anchor still knows of today", async () => {
    const refused = expect.objectContaining({ code: "configuration", message: expect.stringContaining("157 records") });
    await expect(serve(yesterday)).rejects.toEqual(refused);
    for (const anchor of anchorsOf(yesterday).slice(0, 2)) {
      await expect(refuseIfBehind([anchor], yesterday.local(), { warn: () => {} })).rejects.toEqual(refused);
    }
  });

  it("yesterday's database that went on by itself does not sign either", async () => {
    const forked = yesterday.append(...records(90, "another's"));
    await expect(serve(forked)).rejects.toMatchObject({ message: expect.stringContaining("other records") });
    // And if it signed all the same, the witness would not stand for it, and keep it.
    const { size, root } = forked.local();
    const text = formatCheckpoint({ origin: ORIGIN, size: BigInt(size), root });
    const signed = { note: signNote(text, [Log.signer]), checkpoint: parseCheckpoint(text) };
    const publish = anchorsOf(forked)[1]?.publish(signed, AbortSignal.timeout(5_000));
    await expect(publish).rejects.toMatchObject({ code: "conflict" });
    await witness.event<{ event: string; finding: boolean }>(({ event, finding }) => event === "refused" && finding);
    expect(readFileSync(join(folder, "w.state.findings.jsonl"), "utf8")).toContain(String(size));
  });

  it("a witness that is gone is no reason to stop, unless it is required; it comes back where it was", async () => {
    await witness.stop("SIGINT");
    const warned: unknown[] = [];
    await refuseIfBehind(anchorsOf(today), today.local(), { warn: (anchor) => void warned.push(anchor) });
    expect(warned).toEqual([expect.stringContaining("witness bank.example/audit")]);
    await expect(refuseIfBehind(anchorsOf(today, true), today.local(), { warn: () => {} })).rejects.toMatchObject({
      message: expect.stringContaining("it is required"),
    });
    await startWitness();
    const later = today.append("one more");
    const status = await serve(later);
    expect(status[1]).toMatchObject({ published: { size: 158 }, failures: 0 });
  });
});
