import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { filesOf, sealed } from "./testing/archive.ts";
import { SyntheticLog, sampleDay } from "./testing/synthetic-log.ts";
import { bundleOf, verify } from "./testing/verdict.ts";

/**
 * No byte of a bundle is without meaning: whichever is changed, the verifier says so. Each changed byte has another one
 * of its bits turned over.
 */

const STEP = 997;
let day: SyntheticLog;
let bundle: Buffer;
let tiny: SyntheticLog;
let tinyBundle: Buffer;
beforeAll(async () => {
  day = sampleDay();
  for (let i = 0; i < 40; i++)
    day.call({ request: Buffer.alloc(1_500, `q${i}`), delivered: Buffer.alloc(3_000, `a${i}`) });
  bundle = await bundleOf(day.export());
  tiny = new SyntheticLog();
  tiny.call({ request: Buffer.from("q"), delivered: Buffer.from("a") });
  const start = tiny.size;
  tiny.sign();
  tiny.call({ request: Buffer.from("q"), delivered: Buffer.from("a") });
  tinyBundle = await bundleOf(tiny.export({ start }));
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ (1 << (at % 8));
  return copy;
}

async function unnoticed(
  positions: Iterable<number>,
  of: (at: number) => Buffer,
  log: SyntheticLog,
): Promise<readonly string[]> {
  const passed: string[] = [];
  for (const at of positions) {
    const { verdict, findings } = await verify(of(at), [log.signer.vkey]);
    if (verdict !== "tampered") passed.push(`byte ${at}: ${verdict}`);
    else if (findings.every(({ message }) => message === "")) passed.push(`byte ${at}: no word`);
  }
  return passed;
}

function* every(step: number, until: number): Generator<number> {
  for (let at = 0; at < until; at += step) yield at;
}

describe("a changed byte", { timeout: 180_000 }, () => {
  test("the bundles themselves are good", async () => {
    expect((await verify(bundle, [day.signer.vkey])).verdict).toBe("verified");
    expect((await verify(tinyBundle, [tiny.signer.vkey])).verdict).toBe("verified");
  });

  test("of the compressed file", async () => {
    expect(await unnoticed(every(11, tinyBundle.length), (at) => flipped(tinyBundle, at), tiny)).toEqual([]);
    expect(await unnoticed(every(STEP, bundle.length), (at) => flipped(bundle, at), day)).toEqual([]);
  });

  test("of the archive, packed again as anybody could", async () => {
    const tar = gunzipSync(bundle);
    expect(await unnoticed(every(STEP, tar.length), (at) => sealed(flipped(tar, at)), day)).toEqual([]);
  });

  test("of its small files, one by one, and of headers and what lies between", async () => {
    const tar = gunzipSync(tinyBundle);
    const positions: number[] = [];
    let at = 0;
    for (const [i, { path, content }] of filesOf(tinyBundle).entries()) {
      const [begin, end] = [at + 512, at + 512 + content.length];
      at = 512 + 512 * Math.ceil(content.length / 512) + at;
      // The guide is many times as long as all else, and covered by one sum.
      const step = path === "VERIFY.md" ? STEP : 1;
      positions.push(...[...every(step, content.length)].map((offset) => begin + offset));
      positions.push(...[...every(i === 1 ? 1 : 31, 512)].map((offset) => begin - 512 + ((offset + i) % 512)));
      positions.push(...[...every(31, at - end)].map((offset) => end + offset));
    }
    positions.push(...[...every(61, tar.length - at)].map((offset) => at + offset));
    expect(await unnoticed(positions, (position) => sealed(flipped(tar, position)), tiny)).toEqual([]);
  });

  test("any bytes moved, repeated, taken out or blotted out", async () => {
    const tar = gunzipSync(tinyBundle);
    const spot = fc.nat({ max: tar.length - 1 });
    const damage = fc.record({
      from: spot,
      to: spot,
      length: fc.oneof(fc.constantFrom(1, 512, 1_024), fc.integer({ min: 1, max: 3_000 })),
      kind: fc.constantFrom("move", "cut", "put", "zero"),
      aligned: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), async ({ from, to, length, kind, aligned }, again) => {
        const [at, into] = aligned ? [from - (from % 512), to - (to % 512)] : [from, to];
        const piece = kind === "zero" ? Buffer.alloc(length) : tar.subarray(at, at + length);
        const kept = kind === "put" || kind === "move" || kind === "zero" ? piece : Buffer.alloc(0);
        const over = kind === "put" ? 0 : length;
        const bad = Buffer.concat([tar.subarray(0, into), kept, tar.subarray(into + over)]);
        const bytes = again ? Buffer.concat([bad, bad]) : bad;
        const { verdict } = await verify(sealed(bytes), [tiny.signer.vkey]);
        expect(verdict).toBe(bytes.equals(tar) ? "verified" : "tampered");
      }),
      { numRuns: 300 },
    );
  });

  test("a bundle that is cut short anywhere, or goes on behind its end", async () => {
    const cuts = function* (): Generator<number> {
      for (let at = 0; at < tinyBundle.length; at += 29) yield at;
    };
    expect(await unnoticed(cuts(), (at) => tinyBundle.subarray(0, at), tiny)).toEqual([]);
    const tar = gunzipSync(tinyBundle);
    const longer = [Buffer.of(0), Buffer.alloc(512), Buffer.alloc(10_240), tar];
    for (const more of longer) {
      expect((await verify(sealed(Buffer.concat([tar, more])), [tiny.signer.vkey])).verdict).toBe("tampered");
      expect((await verify(Buffer.concat([tinyBundle, more]), [tiny.signer.vkey])).verdict).toBe("tampered");
    }
    expect((await verify(Buffer.concat([tinyBundle, tinyBundle]), [tiny.signer.vkey])).verdict).toBe("tampered");
  });
});
