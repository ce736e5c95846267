import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import {
  decodeFrame,
  decodeHead,
  type Frame,
  HEAD_BYTES,
  hasFrameAfter,
  SEGMENT_BYTES,
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
  /** Of the newest batch that was found, or that the database has. */
  readonly lastSeq: number;
  /** Of the newest segment that was found, or that the database knows of. */
  readonly lastSerial: number;
  /** The newest segment that the database knows of is not there, and with it whatever was durable in it alone. */
  readonly missing: boolean;
}

/** What the database knows of the intake. */
export type KnownIntake = Pick<Recovered, "lastSeq" | "lastSerial">;

/**
 * Gives back, in their order, the batches that the segments hold and the database has not. The last one may have been cut off by a
 * crash: it was acknowledged to nobody. Anything else that cannot be read was, and is never passed over.
 * @throws Error with code HOOPISH_INTAKE
 */
export function recoverIntake(
  storePath: string,
  vaultKey: Uint8Array,
  known: KnownIntake,
  take: (seq: number, batch: Buffer) => void,
): Recovered {
  const segments = segmentPaths(storePath)
    .flatMap((path) => readSegment(path, vaultKey) ?? [])
    .sort((left, right) => left.head.serial - right.head.serial);
  let { lastSeq } = known;
  let frames = 0;
  for (const segment of segments) {
    for (const { seq, plain } of framesOf(segment)) {
      if (seq <= lastSeq) continue;
      if (seq !== lastSeq + 1)
        throw damaged(segment.path, `batch ${lastSeq + 1} is missing; the database may be older than this file`);
      take(seq, plain);
      lastSeq = seq;
      frames += 1;
    }
  }
  const newest = segments.at(-1)?.head.serial ?? 0;
  return {
    frames,
    lastSeq,
    lastSerial: Math.max(newest, known.lastSerial),
    missing: newest < known.lastSerial,
  };
}

function* framesOf({ path, bytes, key }: Segment): Generator<Frame> {
  let at = HEAD_BYTES;
  for (let frame = decodeFrame(bytes, at, key); frame !== undefined; frame = decodeFrame(bytes, at, key)) {
    yield frame;
    at = frame.end;
  }
  if (hasFrameAfter(bytes, at, key)) throw damaged(path, "a batch in the middle cannot be read");
}

interface Segment {
  readonly path: string;
  readonly bytes: Buffer;
  readonly head: SegmentHead;
  readonly key: KeyObject;
}

function readSegment(path: string, vaultKey: Uint8Array): Segment | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const head = bytes.length < HEAD_BYTES ? undefined : decodeHead(bytes.subarray(0, HEAD_BYTES), vaultKey);
  // The crash came while the file was being made: its head is written when it has its full size, all zeros.
  if (head === undefined && bytes.equals(Buffer.alloc(bytes.length))) return undefined;
  if (bytes.length !== SEGMENT_BYTES) throw damaged(path, `it has ${bytes.length} bytes, not ${SEGMENT_BYTES}`);
  if (head === undefined)
    throw damaged(path, "its head cannot be read: the file is damaged, or the vault's key is another");
  return { path, bytes, head, key: segmentKey(vaultKey, head) };
}

const damaged = (path: string, what: string): Error =>
  Object.assign(new Error(`${path}: ${what}`), { code: "HOOPISH_INTAKE" });
