import { hash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addSignatures,
  cosignatureTime,
  cosigner,
  EMPTY_ROOT,
  ed25519Signer,
  formatAddCheckpoint,
  formatCheckpoint,
  newLogKey,
  openNote,
  parseVkey,
  signatureLine,
  signNote,
} from "@hoopish/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SampleLog } from "../testing/sample-log.ts";
import { StateFile } from "./state-file.ts";
import { type Judged, Witness } from "./witness.ts";

const logKey = newLogKey();
const log = new SampleLog(100, logKey);
const NOW = 1_800_000_000;
const signer = cosigner("bank.example/audit", newLogKey(), () => NOW);
const verifiers = [parseVkey(signer.vkey)];

describe("Witness", () => {
  let folder = "";
  let path = "";
  let state: StateFile;
  let witness: Witness;

  const reopen = (): void => {
    state = StateFile.open(path, process.getuid?.());
    witness = new Witness(signer, new Map([[log.origin, [parseVkey(log.signer.vkey)]]]), state);
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hoopish-witness-"));
    path = join(folder, "state");
    StateFile.create(path, signer.vkey);
    reopen();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const add = (body: string | Uint8Array): Judged => witness.add(Buffer.from(body));
  const statusOf = (body: string | Uint8Array): number => add(body).answer.status;
  const size = (): number => state.get(log.origin)?.size ?? 0;

  it("cosigns the first checkpoint that it sees, and what that grows into", () => {
    for (const [from, to] of [
      [0, 1],
      [1, 40],
      [40, 64],
      [64, 64],
      [64, 100],
    ] as const) {
      const { answer, verdict } = add(log.request(from, to));
      expect(answer.status).toBe(200);
      expect(verdict).toEqual({ kind: "cosigned", origin: log.origin, size: to });
      const { verified } = openNote(addSignatures(log.checkpoint(to), answer.body), verifiers);
      expect(verified.map(({ signature }) => cosignatureTime(signature))).toEqual([BigInt(NOW)]);
      expect(size()).toBe(to);
    }
  });

  it("cosigns the empty log, and no other root of size 0", () => {
    const empty = (root: Buffer): string => {
      const text = formatCheckpoint({ origin: log.origin, size: 0n, root });
      return formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: signNote(text, [log.signer]) });
    };
    expect(statusOf(empty(Buffer.alloc(32)))).toBe(422);
    expect(statusOf(empty(EMPTY_ROOT))).toBe(200);
    expect(statusOf(log.request(0, 7))).toBe(200);
  });

  it("shows the newest with the log's signature and its own, and no other", () => {
    const hex = hash("sha256", log.origin);
    expect(witness.newest(hex).status).toBe(404);
    const stranger = ed25519Signer("stranger.example", newLogKey());
    const note = log.checkpoint(9);
    const more = addSignatures(note, signatureLine(stranger, `${note.split("\n\n")[0]}\n`));
    expect(statusOf(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: more }))).toBe(200);
    const { status, body } = witness.newest(hex);
    expect(status).toBe(200);
    const opened = openNote(body, [...verifiers, parseVkey(log.signer.vkey)]);
    expect(opened.verified.map(({ name }) => name)).toEqual([log.origin, "bank.example/audit"]);
    expect(opened.unknown).toBe(0);
    expect(witness.newest(hash("sha256", "other")).status).toBe(404);
  });

  describe("is attacked", () => {
    beforeEach(() => {
      expect(statusOf(log.request(0, 40))).toBe(200);
    });
    afterEach(() => {
      const kept = state.get(log.origin);
      reopen();
      expect(state.get(log.origin)).toEqual(kept);
    });

    it("by going back", () => {
      expect(add(log.request(20, 30)).answer).toEqual({ status: 409, type: "text/x.tlog.size", body: "40\n" });
      expect(statusOf(log.request(0, 30))).toBe(409);
      expect(statusOf(formatAddCheckpoint({ oldSize: 40, proof: [], checkpoint: log.checkpoint(30) }))).toBe(400);
      expect(size()).toBe(40);
    });

    it("by forgetting what was seen", () => {
      expect(statusOf(log.request(0, 41))).toBe(409);
      expect(size()).toBe(40);
    });

    it.each([
      ["of the same size", 40],
      ["that is longer", 60],
    ])("by a fork %s; the note is a finding", (_what, to) => {
      const fork = new SampleLog(100, logKey, "other", 30);
      const { answer, verdict } = add(fork.request(40, to));
      expect(answer.status).toBe(422);
      expect(verdict).toMatchObject({ kind: "refused", origin: log.origin, finding: fork.checkpoint(to) });
      expect(size()).toBe(40);
      expect(statusOf(log.request(40, 60))).toBe(200);
    });

    it("by a proof that is wrong, of something else, missing or too much", () => {
      const request = (proof: readonly Uint8Array[], to = 60): string =>
        formatAddCheckpoint({ oldSize: 40, proof, checkpoint: log.checkpoint(to) });
      expect(statusOf(request([]))).toBe(422);
      expect(statusOf(request(log.proof(39, 60)))).toBe(422);
      expect(statusOf(request(log.proof(40, 61)))).toBe(422);
      expect(statusOf(request([...log.proof(40, 60), Buffer.alloc(32)]))).toBe(422);
      expect(statusOf(request([Buffer.alloc(32)], 40))).toBe(422);
      const first = new Witness(signer, new Map([[log.origin, [parseVkey(log.signer.vkey)]]]), {
        get: () => undefined,
        put: () => expect.unreachable(),
      });
      const body = formatAddCheckpoint({ oldSize: 0, proof: [Buffer.alloc(32)], checkpoint: log.checkpoint(60) });
      expect(first.add(Buffer.from(body)).answer.status).toBe(422);
      expect(size()).toBe(40);
    });

    it("by a forged signature, a foreign key with the same name, another log's key", () => {
      const lines = log.request(40, 60);
      const forged = lines.replace(
        /([A-Za-z0-9+/]{20})=?=?\n$/,
        (end) => [...end.slice(0, 8)].reverse().join("") + end.slice(8),
      );
      expect(forged).not.toBe(lines);
      expect(statusOf(forged)).toBe(403);
      expect(statusOf(new SampleLog(100).request(40, 60))).toBe(403);
      expect(statusOf(lines.replace("\n60\n", "\n61\n"))).toBe(403);
      expect(size()).toBe(40);
    });

    it("by a good signature beside a bad one of the same key", () => {
      const [text = "", good = ""] = log.checkpoint(60).split("\n\n");
      const bad = log.checkpoint(61).split("\n\n")[1] ?? "";
      const body = `old 40\n${log
        .proof(40, 60)
        .map((it) => `${it.toString("base64")}\n`)
        .join("")}\n${text}\n\n${good}${bad}`;
      expect(statusOf(body)).toBe(403);
    });

    it("by a log that it does not know, signed by one that it knows", () => {
      const checkpoint = log.checkpoint(60, "other.example/log");
      expect(statusOf(formatAddCheckpoint({ oldSize: 40, proof: log.proof(40, 60), checkpoint }))).toBe(404);
      expect(size()).toBe(40);
    });

    it("by its own key as a log's, and by a note that is no checkpoint", () => {
      const note = signNote(`${log.origin}\nhello\n`, [log.signer]);
      expect(statusOf(`old 40\n\n${note}`)).toBe(400);
      const huge = formatCheckpoint({ origin: log.origin, size: 2n ** 60n, root: Buffer.alloc(32) });
      expect(statusOf(`old 40\n\n${signNote(huge, [log.signer])}`)).toBe(400);
    });

    it("by whatever bytes", () => {
      const good = Buffer.from(log.request(40, 60));
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(good.length), fc.nat(40), (noise, at, cut) => {
          expect([400, 403, 404]).toContain(statusOf(noise));
          const spliced = Buffer.concat([good.subarray(0, at), noise, good.subarray(at + cut)]);
          if (!spliced.equals(good)) expect([400, 403, 404, 409, 422]).toContain(statusOf(spliced));
        }),
        { numRuns: 500 },
      );
      expect(size()).toBe(40);
    });
  });

  it("was killed after it had stored and before it answered: it says so, and cosigns the same again", () => {
    expect(statusOf(log.request(0, 40))).toBe(200);
    add(log.request(40, 60));
    reopen();
    expect(add(log.request(40, 60)).answer).toMatchObject({ status: 409, body: "60\n" });
    expect(statusOf(new SampleLog(100, logKey, "other", 40).request(40, 60))).toBe(409);
    expect(statusOf(log.request(60, 60))).toBe(200);
  });

  it("answers nothing when it cannot write, and has forgotten nothing", () => {
    expect(statusOf(log.request(0, 40))).toBe(200);
    const kept = state.get(log.origin);
    rmSync(folder, { recursive: true });
    expect(() => add(log.request(40, 60))).toThrow("ENOENT");
    expect(state.get(log.origin)).toEqual(kept);
  });
});
