import { mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  encodeFrame,
  encodeHead,
  frameBytes,
  HEAD_BYTES,
  newSegmentHead,
  SEGMENT_BYTES,
  type SegmentHead,
  segmentKey,
} from "./format.ts";
import { Intake } from "./intake.ts";
import { type KnownIntake, recoverIntake, segmentPaths } from "./recovery.ts";

/** What a start finds in the intake, after whatever has happened to its files. */

const KEY = Buffer.alloc(32, "the vault's key");
const OTHER_KEY = Buffer.alloc(32, "another key");
/** Magic, serial, salt and MAC. */
const HEAD_USED = 88;
const NOTHING: KnownIntake = { lastSeq: 0, lastSerial: 0 };

let folder: string;
let store: string;
let paths: readonly [string, string];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-recovery-"));
  store = join(folder, "hoopish.db");
  paths = segmentPaths(store);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Batch {
  readonly seq: number;
  readonly text: string;
}
const batches = (first: number, ...texts: readonly string[]): Batch[] =>
  texts.map((text, position) => ({ seq: first + position, text }));

/** A segment's file as the intake writes it; where each frame ends. */
function makeSegment(
  head: SegmentHead,
  content: readonly Batch[],
  on: Buffer = Buffer.alloc(SEGMENT_BYTES),
): { readonly bytes: Buffer; readonly ends: readonly number[] } {
  encodeHead(head, KEY).copy(on);
  const key = segmentKey(KEY, head);
  const ends: number[] = [];
  let at = HEAD_BYTES;
  for (const { seq, text } of content) {
    const frame = Buffer.concat(encodeFrame(seq, Buffer.from(text), key));
    frame.copy(on, at);
    at += frame.length;
    ends.push(at);
  }
  return { bytes: on, ends };
}

type Found = readonly Batch[] | { readonly refused: string };

function found(known: KnownIntake = NOTHING, key: Uint8Array = KEY): Found {
  const taken: Batch[] = [];
  try {
    recoverIntake(store, key, known, (seq, batch) => taken.push({ seq, text: batch.toString() }));
    return taken;
  } catch (error) {
    expect((error as { code?: string }).code).toBe("HOOPISH_INTAKE");
    return { refused: (error as Error).message };
  }
}
const refusal = (of: Found): string => ("refused" in of ? of.refused : `not refused: ${JSON.stringify(of)}`);

describe("a segment", () => {
  test("gives back what the database has not, in order", () => {
    const content = batches(1, "one", "", "three".repeat(1_000));
    writeFileSync(paths[1], makeSegment(newSegmentHead(1), content).bytes);
    expect(found()).toEqual(content);
    expect(found({ lastSeq: 2, lastSerial: 1 })).toEqual(content.slice(2));
    expect(found({ lastSeq: 3, lastSerial: 1 })).toEqual([]);
    expect(found({ lastSeq: 9, lastSerial: 1 })).toEqual([]);
  });

  test("any bit flipped anywhere is noticed or harmless, or the last batch was torn", () => {
    const content = batches(1, "one", "two", "three");
    const { bytes, ends } = makeSegment(newSegmentHead(1), content);
    const [, secondEnd = 0, end = 0] = ends;
    const file = openSync(paths[1], "w+");
    writeSync(file, bytes);
    const outcomes = { noticed: 0, harmless: 0, torn: 0 };
    const places = [
      ...Array.from({ length: HEAD_USED / 4 }, (_, step) => 4 * step),
      ...Array.from({ length: HEAD_USED / 4 }, (_, step) => 2_048 + 4 * step + 1),
      ...[HEAD_USED, 1_000, 2_047, 2_152, 4_095, end, end + 16, SEGMENT_BYTES - 1],
      ...Array.from({ length: end - HEAD_BYTES }, (_, byte) => HEAD_BYTES + byte),
    ];
    for (const [turn, at] of places.entries()) {
      const flipped = Buffer.of((bytes[at] as number) ^ (1 << (turn % 8)));
      writeSync(file, flipped, 0, 1, at);
      const after = found();
      writeSync(file, bytes, at, 1, at);
      if ("refused" in after) {
        outcomes.noticed += 1;
        // Never because of what stands in the last frame: a start must be possible after a torn write.
        expect(at).toBeLessThan(secondEnd);
      } else if (after.length === content.length) {
        outcomes.harmless += 1;
        expect(after).toEqual(content);
      } else {
        outcomes.torn += 1;
        expect(after).toEqual(content.slice(0, 2));
        expect(at).toBeGreaterThanOrEqual(secondEnd);
      }
    }
    // One copy of the head stands for the other, so all of it is harmless; padding is too.
    expect(outcomes.harmless).toBeGreaterThanOrEqual(HEAD_USED / 2 + 8);
    expect(outcomes.noticed).toBeGreaterThan(60);
    expect(outcomes.torn).toBeGreaterThan(50);
  });

  test.each(["zeros", "an earlier use of it"])(
    "a last write torn at any byte, over %s, takes nothing else with it",
    (over) => {
      const under = Buffer.alloc(SEGMENT_BYTES);
      if (over !== "zeros") makeSegment(newSegmentHead(1), batches(1, "x", "y".repeat(40), "z", "zz", "zzz"), under);
      const content = batches(6, "one", "two", "the last one, which may be torn");
      const { bytes, ends } = makeSegment(newSegmentHead(3), content, Buffer.from(under));
      const [, start = 0, end = 0] = ends;
      const tagEnd = start + 32 + "the last one, which may be torn".length + 16;
      const file = openSync(paths[1], "w+");
      writeSync(file, bytes);
      for (let cut = start; cut <= end; cut++) {
        // One write may reach the disk from the front or from behind.
        for (const [from, to] of [
          [cut, end],
          [start, cut],
        ] as const) {
          writeSync(file, under, from, to - from, from);
          const after = found({ lastSeq: 5, lastSerial: 3 });
          writeSync(file, bytes, start, end - start, start);
          // Padding behind the tag says nothing; a byte that was there already is not torn.
          const whole = under.subarray(from, Math.min(to, tagEnd)).equals(bytes.subarray(from, Math.min(to, tagEnd)));
          expect(after, `${from} to ${to} torn`).toEqual(content.slice(0, whole || from >= tagEnd ? 3 : 2));
        }
      }
    },
  );

  test("damage in the middle with whole batches behind it refuses the start, whatever is damaged", () => {
    const content = batches(1, "one", "two", "three");
    const { bytes, ends } = makeSegment(newSegmentHead(1), content);
    const [first = 0, second = 0] = ends;
    fc.assert(
      fc.property(
        fc.integer({ min: first, max: second - 17 }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (at, junk) => {
          const damaged = Buffer.from(bytes);
          Buffer.from(junk).copy(damaged, at, 0, Math.min(junk.length, second - 16 - at));
          fc.pre(!damaged.equals(bytes));
          writeFileSync(paths[1], damaged);
          expect(refusal(found())).toContain("a batch in the middle cannot be read");
        },
      ),
      { numRuns: 40 },
    );
  });

  test("a batch that is missing between two is noticed, in one segment and between two", () => {
    writeFileSync(paths[1], makeSegment(newSegmentHead(1), [...batches(1, "one"), ...batches(3, "three")]).bytes);
    expect(refusal(found())).toContain("batch 2 is missing");
    writeFileSync(paths[1], makeSegment(newSegmentHead(1), batches(1, "one", "two")).bytes);
    writeFileSync(paths[0], makeSegment(newSegmentHead(2), batches(4, "four")).bytes);
    expect(refusal(found())).toContain("batch 3 is missing");
    // Of a database that is older than both.
    expect(refusal(found({ lastSeq: 0, lastSerial: 0 }))).toContain("batch 3 is missing");
  });

  test("what stands there from an earlier use is never read", () => {
    const bytes = makeSegment(newSegmentHead(1), batches(1, "old one", "old two", "old three")).bytes;
    // The same numbers, the same place, another salt.
    makeSegment(newSegmentHead(3), batches(1, "new one"), bytes);
    writeFileSync(paths[1], bytes);
    expect(found()).toEqual(batches(1, "new one"));
  });

  test("frames of one segment do not open in the other", () => {
    const one = makeSegment(newSegmentHead(1), batches(1, "one", "two")).bytes;
    const two = makeSegment(newSegmentHead(2), []).bytes;
    one.copy(two, HEAD_BYTES, HEAD_BYTES);
    writeFileSync(paths[0], two);
    expect(found()).toEqual([]);
  });
});

describe("the vault's key is another", () => {
  test("the start is refused, says so, and nothing is changed", () => {
    writeFileSync(paths[1], makeSegment(newSegmentHead(1), batches(1, "one")).bytes);
    writeFileSync(paths[0], makeSegment(newSegmentHead(2), batches(2, "two")).bytes);
    const before = paths.map((path) => readFileSync(path));
    expect(refusal(found(NOTHING, OTHER_KEY))).toContain("the vault's key is another");
    expect(paths.every((path, position) => readFileSync(path).equals(before[position] as Buffer))).toBe(true);
    expect(found()).toEqual(batches(1, "one", "two"));
  });
});

describe("a head", () => {
  test("torn at any byte: the older segment is still there, or the newer one has begun", () => {
    const under = makeSegment(newSegmentHead(1), batches(1, "one", "two")).bytes;
    const head = encodeHead(newSegmentHead(3), KEY);
    const file = openSync(paths[1], "w+");
    writeSync(file, under);
    for (let torn = 0; torn <= HEAD_BYTES; torn += torn < 110 || (torn >= 2_040 && torn < 2_160) ? 1 : 97) {
      writeSync(file, head, 0, torn, 0);
      const after = found();
      writeSync(file, under, 0, HEAD_BYTES, 0);
      // What it held is done with when it begins anew; a start is possible whatever came of it.
      expect(after).toEqual(torn < HEAD_USED ? batches(1, "one", "two") : []);
    }
  });

  test("of which both copies are damaged refuses the start", () => {
    const { bytes } = makeSegment(newSegmentHead(1), batches(1, "one"));
    bytes[20] = (bytes[20] as number) ^ 1;
    bytes[2_068] = (bytes[2_068] as number) ^ 1;
    writeFileSync(paths[1], bytes);
    expect(refusal(found())).toContain("its head cannot be read");
  });

  test("that was wiped, while batches still stand behind it, refuses the start", () => {
    const { bytes } = makeSegment(newSegmentHead(1), batches(1, "one"));
    writeFileSync(paths[1], bytes.fill(0, 0, HEAD_BYTES));
    expect(refusal(found())).toContain("its head cannot be read");
  });
});

describe("a file", () => {
  test("that is cut short refuses the start, wherever it is cut", () => {
    const { bytes, ends } = makeSegment(newSegmentHead(1), batches(1, "one", "two"));
    for (const length of [1, 100, 2_048, HEAD_BYTES, ends[0] as number, (ends[1] as number) - 1, SEGMENT_BYTES - 1]) {
      writeFileSync(paths[1], bytes);
      truncateSync(paths[1], length);
      expect(refusal(found()), `${length} bytes`).toContain(`it has ${length} bytes`);
    }
  });

  test("that was being made when the machine stopped is nobody's loss", () => {
    for (const length of [0, 1, HEAD_BYTES, 1024 * 1024, SEGMENT_BYTES]) {
      writeFileSync(paths[1], Buffer.alloc(length));
      expect(found(), `${length} bytes`).toEqual([]);
    }
  });

  test("that is missing, empty or wiped is told of, when the database knows that it was there", () => {
    const missing = (known: KnownIntake): boolean => recoverIntake(store, KEY, known, () => undefined).missing;
    expect(missing(NOTHING)).toBe(false);
    expect(missing({ lastSeq: 2, lastSerial: 2 })).toBe(true);
    writeFileSync(paths[1], makeSegment(newSegmentHead(1), batches(1, "one", "two")).bytes);
    expect(missing({ lastSeq: 2, lastSerial: 2 })).toBe(true);
    expect(missing({ lastSeq: 2, lastSerial: 1 })).toBe(false);
    for (const length of [0, SEGMENT_BYTES]) {
      writeFileSync(paths[0], Buffer.alloc(length));
      expect(missing({ lastSeq: 2, lastSerial: 2 })).toBe(true);
    }
    // The database had not been told of the newest yet.
    writeFileSync(paths[0], makeSegment(newSegmentHead(2), []).bytes);
    expect(missing({ lastSeq: 2, lastSerial: 1 })).toBe(false);
  });

  test("the number of a segment is never used again, also when its file is gone", () => {
    expect(recoverIntake(store, KEY, { lastSeq: 9, lastSerial: 7 }, () => undefined)).toMatchObject({
      lastSeq: 9,
      lastSerial: 7,
    });
  });
});

describe("an intake that is written", () => {
  test("takes turns between its segments, and begins one anew only when the database has what it held", async () => {
    const events: string[] = [];
    const intake = await Intake.open({
      storePath: store,
      vaultKey: KEY,
      lastSeq: 0,
      lastSerial: 0,
      settled: async (seq) => {
        events.push(`settled ${seq}`);
      },
      begun: async (serial) => {
        events.push(`begun ${serial}`);
      },
    });
    const large = Buffer.alloc(3 * 1024 * 1024, "x");
    const written: number[] = [];
    for (let i = 0; i < 7; i++) {
      written.push(await intake.append(large));
      events.push(`written ${i + 1}`);
    }
    expect(written).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(events).toEqual(
      (
        "settled 0,begun 1,written 1,written 2,settled 0,begun 2,written 3,written 4," +
        "settled 2,begun 3,written 5,written 6,settled 4,begun 4,written 7"
      ).split(","),
    );
    intake.close();
    const texts = found({ lastSeq: 4, lastSerial: 4 }) as Batch[];
    expect(texts.map(({ seq, text }) => [seq, text.length])).toEqual([
      [5, large.length],
      [6, large.length],
      [7, large.length],
    ]);
    // A database that is older than what the segments hold cannot be brought up to them.
    expect(refusal(found({ lastSeq: 3, lastSerial: 3 }))).toContain("batch 4 is missing");
  });

  test("a segment does not begin anew when the database does not take what it held, and the batch is refused", async () => {
    let full = false;
    const intake = await Intake.open({
      storePath: store,
      vaultKey: KEY,
      lastSeq: 0,
      lastSerial: 0,
      settled: () => (full ? Promise.reject(new Error("the disk is full")) : Promise.resolve()),
      begun: () => Promise.resolve(),
    });
    const large = Buffer.alloc(3 * 1024 * 1024, "x");
    for (let i = 0; i < 4; i++) await intake.append(large);
    full = true;
    await expect(intake.append(large)).rejects.toThrow("the disk is full");
    expect((found() as Batch[]).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    // What fits is still taken.
    expect(await intake.append(Buffer.from("small"))).toBe(5);
    full = false;
    expect(await intake.append(large)).toBe(6);
    expect((found({ lastSeq: 2, lastSerial: 2 }) as Batch[]).map(({ seq }) => seq)).toEqual([3, 4, 5, 6]);
    intake.close();
  });

  test("comes back byte for byte, whatever is in the batches", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
        fc.integer({ min: 0, max: 4_000_000_000_000 }),
        async (contents, lastSeq) => {
          const none = async (): Promise<void> => undefined;
          const known = { lastSeq, lastSerial: 1 };
          const intake = await Intake.open({ storePath: store, vaultKey: KEY, ...known, settled: none, begun: none });
          let bytes = HEAD_BYTES;
          for (const content of contents) {
            await intake.append(content);
            bytes += frameBytes(content.length);
          }
          intake.close();
          const back: { seq: number; batch: Buffer }[] = [];
          recoverIntake(store, KEY, known, (seq, batch) => back.push({ seq, batch: Buffer.from(batch) }));
          expect(back.map(({ seq }) => seq)).toEqual(contents.map((_, position) => lastSeq + 1 + position));
          expect(back.every(({ batch }, position) => batch.equals(contents[position] as Uint8Array))).toBe(true);
          expect(readFileSync(paths[0]).subarray(HEAD_BYTES, bytes).includes("plain text")).toBe(false);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("holds nothing in the clear", async () => {
    const none = async (): Promise<void> => undefined;
    const intake = await Intake.open({ storePath: store, vaultKey: KEY, ...NOTHING, settled: none, begun: none });
    await intake.append(Buffer.from("the applicant's income is 61,250"));
    intake.close();
    expect(readFileSync(paths[1]).includes("income")).toBe(false);
  });
});
