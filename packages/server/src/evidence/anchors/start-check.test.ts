import { newLogKey, parseVkey } from "@hoopish/protocol";
import { describe, expect, it } from "vitest";
import type { Anchor } from "./anchor.ts";
import { type LocalLog, refuseIfBehind } from "./start-check.ts";
import { SampleLog } from "./testing/sample-log.ts";

const key = newLogKey();
const log = new SampleLog(50, { key });

const localAt = (size: number, of = log): LocalLog => ({
  origin: of.origin,
  size,
  root: of.root(size),
  verifiers: [parseVkey(of.signer.vkey)],
  consistency: of.consistency,
});

const showing = (newest: () => Promise<string | undefined>, required = false): Anchor => ({
  name: "anchor file in /mnt/audit",
  everyMs: 0,
  required,
  publish: async () => undefined,
  newest,
});
const seen = (size: number, of = log): Anchor => showing(async () => of.checkpoint(size).note);

async function check(anchors: Anchor[], local: LocalLog): Promise<{ warned: number; refused?: string; hint?: string }> {
  let warned = 0;
  const warn = (): void => {
    warned += 1;
  };
  try {
    await refuseIfBehind(anchors, local, { warn, timeoutMs: 200 });
    return { warned };
  } catch (error) {
    expect(error).toMatchObject({ name: "HoopishError", code: "configuration" });
    const { message, hint } = error as { message: string; hint: string };
    return { warned, refused: message, hint };
  }
}

describe("refuseIfBehind", () => {
  it.each([
    ["the same", 40, 40],
    ["a beginning", 17, 40],
    ["a beginning that is a power of two", 32, 50],
    ["the empty log", 0, 40],
    ["nothing, of an empty log", 0, 0],
  ])("lets a log sign that is what was seen: %s", async (_what, outside, size) => {
    expect(await check([seen(outside)], localAt(size))).toEqual({ warned: 0 });
  });

  it("lets a log sign that nobody has seen yet", async () => {
    expect(await check([showing(async () => undefined, true)], localAt(0))).toEqual({ warned: 0 });
  });

  it("refuses a database of yesterday", async () => {
    const { refused, hint } = await check([seen(12), seen(40)], localAt(25));
    expect(refused).toBe(
      "the log will not be signed: the anchor file in /mnt/audit has seen 40 records of this log, the store holds 25: records are missing here",
    );
    expect(hint).toContain("restored from a backup");
  });

  it("refuses an empty database where there was a log", async () => {
    expect((await check([seen(1)], localAt(0))).refused).toContain("records are missing here");
  });

  it.each([
    ["as long", 25],
    ["longer: restored and gone on", 50],
  ])("refuses another history that is %s", async (_what, size) => {
    const other = new SampleLog(50, { key, seed: "other" });
    const { refused } = await check([seen(25)], localAt(size, other));
    expect(refused).toContain("has seen other records among the first 25 than the store holds");
  });

  it("refuses when a store cannot show what it claims", async () => {
    const lying: LocalLog = { ...localAt(50), consistency: async (from, to) => log.consistency(from - 1, to) };
    expect((await check([seen(25)], lying)).refused).toContain("other records");
  });

  it("refuses what another key has signed, what is of another log, and what was changed", async () => {
    const stranger = new SampleLog(50);
    expect((await check([seen(10, stranger)], localAt(40))).refused).toContain("this log's key has not signed");
    const another = new SampleLog(50, { origin: "other.example/log" });
    const both = { ...localAt(40), verifiers: [log, another].map(({ signer }) => parseVkey(signer.vkey)) };
    expect((await check([seen(10, another)], both)).refused).toContain("holds checkpoints of another log");
    const changed = log.checkpoint(10).note.replace("\n10\n", "\n11\n");
    const { refused, hint } = await check([showing(async () => changed)], localAt(40));
    expect(refused).toContain("this log's key has not signed");
    expect(hint).toContain("let the server know the earlier key");
  });

  it("takes what an earlier key of the log has signed", async () => {
    const before = new SampleLog(50);
    const local = { ...localAt(40), verifiers: [before, log].map(({ signer }) => parseVkey(signer.vkey)) };
    expect(await check([seen(10, before)], local)).toEqual({ warned: 0 });
  });

  it("warns of an anchor that cannot be read, and refuses when it is required", async () => {
    const broken = async (): Promise<never> => {
      throw new Error("no such disk");
    };
    expect(await check([showing(broken), seen(10)], localAt(40))).toEqual({ warned: 1 });
    expect((await check([seen(10), showing(broken, true)], localAt(40))).refused).toBe(
      "the anchor file in /mnt/audit cannot be read, and it is required: no such disk",
    );
  });

  it("does not wait for an anchor for ever, even one that obeys no signal", async () => {
    const silent = (): Promise<never> => new Promise(() => {});
    expect(await check([showing(silent)], localAt(40))).toEqual({ warned: 1 });
    expect((await check([showing(silent, true)], localAt(40))).refused).toContain("no answer within 0.2 s");
  });

  it("an anchor that cannot be read hides no other that is ahead", async () => {
    const broken = async (): Promise<never> => {
      throw new Error("no such disk");
    };
    expect((await check([showing(broken), seen(41)], localAt(40))).refused).toContain("records are missing here");
  });
});
