import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import {
  decodeFrame,
  decodeHead,
  type Frame,
  HEAD_BYTES,
  hasFrameAfter,
  type SegmentHead,
  segmentKey,
} from "./format.ts";

/** The two segments beside a database. */
export const segmentPaths = (storePath: string): readonly [string, string] => [
  `${storePath}-intake-0`,
  `${storePath}-intake-1`,
];

export interface Recovered {
  /** Batches that the database had not, in their order. */
  readonly frames: number;
  /** Of the newest batch that was found, or `applied`. */
  readonly lastSeq: number;
  /** Of the newest segment. */
  readonly lastSerial: number;
}

/**
 * Gives back, in their order, the batches after `applied` that the segments hold. The last one may have been cut off by a
 * crash: it was acknowledged to nobody. Anything else that cannot be read was, and is never passed over.
 * @throws Error with code HOOPISH_INTAKE
 */
export function recoverIntake(
  storePath: string,
  vaultKey: Uint8Array,
  applied: number,
  take: (seq: number, batch: Buffer) => void,
): Recovered {
  const segments = segmentPaths(storePath)
    .flatMap((path) => readSegment(path, vaultKey) ?? [])
    .sort((left, right) => left.head.serial - right.head.serial);
  let lastSeq = applied;
  let frames = 0;
  segments.forEach((segment, position) => {
    // Where a later segment begins with a number again, the older batch of that number was given up before.
    const end = firstSeq(segments[position + 1]) ?? Number.POSITIVE_INFINITY;
    for (const { seq, plain } of framesOf(segment)) {
      if (seq <= lastSeq || seq >= end) continue;
      if (seq !== lastSeq + 1) throw damaged(segment.path, `batch ${lastSeq + 1} is missing`);
      take(seq, plain);
      lastSeq = seq;
      frames += 1;
    }
  });
  return { frames, lastSeq, lastSerial: segments.at(-1)?.head.serial ?? 0 };
}

function* framesOf({ path, bytes, key }: Segment): Generator<Frame> {
  let at = HEAD_BYTES;
  for (let frame = decodeFrame(bytes, at, key); frame !== undefined; frame = decodeFrame(bytes, at, key)) {
    yield frame;
    at = frame.end;
  }
  if (hasFrameAfter(bytes, at, key)) throw damaged(path, "a batch in the middle cannot be read");
}

const firstSeq = (segment: Segment | undefined): number | undefined =>
  segment === undefined ? undefined : decodeFrame(segment.bytes, HEAD_BYTES, segment.key)?.seq;

interface Segment {
  readonly path: string;
  readonly bytes: Buffer;
  readonly head: SegmentHead;
  readonly key: KeyObject;
}

function readSegment(path: string, vaultKey: Uint8Array): Segment | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  // Shorter than its head: the crash came while the file was being made, and nothing was ever taken into it.
  if (bytes.length < HEAD_BYTES) return undefined;
  const head = decodeHead(bytes.subarray(0, HEAD_BYTES), vaultKey);
  if (head === "empty") return undefined;
  if (head === "damaged")
    throw damaged(path, "its head cannot be read: the file is damaged, or the vault's key is another");
  return { path, bytes, head, key: segmentKey(vaultKey, head) };
}

const damaged = (path: string, what: string): Error =>
  Object.assign(new Error(`${path}: ${what}`), { code: "HOOPISH_INTAKE" });
