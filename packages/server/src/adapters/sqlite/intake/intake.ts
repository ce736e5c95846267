import type { KeyObject } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fsyncSync,
  openSync,
  statSync,
  writeSync,
  writev,
  writevSync,
} from "node:fs";
import { dirname } from "node:path";
import { StoreLost } from "../../../evidence/store.ts";
import {
  encodeFrame,
  encodeHead,
  frameBytes,
  HEAD_BYTES,
  newSegmentHead,
  SEGMENT_BYTES,
  segmentKey,
} from "./format.ts";
import { segmentPaths } from "./recovery.ts";

export interface IntakeOptions {
  readonly storePath: string;
  readonly vaultKey: Uint8Array;
  /** As recovery found them: both segments' batches are in the database. */
  readonly lastSeq: number;
  readonly lastSerial: number;
  /** Resolves when every batch up to `seq` is in the database and the disk has it there: its segment may begin anew. */
  readonly settled: (seq: number) => Promise<void>;
  /** A segment begins. Resolves when the database knows, so that a start without the segment says that it is missing. */
  readonly begun: (serial: number) => Promise<void>;
}

/** Where the system has it, the write itself waits for the disk: one trip to the thread pool instead of two. */
const DSYNC: number | undefined = constants.O_DSYNC;
/** What may be written while the process waits. */
const QUICK_BYTES = 16 * 1024;

interface Segment {
  readonly fd: number;
  /** The newest batch in it. */
  lastSeq: number;
}

/** The writing end of the intake: one append at a time. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #segments: readonly [Segment, Segment];
  readonly #disk = new QuickDisk();
  #serial: number;
  #key!: KeyObject;
  #at = 0;
  #seq: number;

  /** @throws Error of the file system */
  static async open(options: IntakeOptions): Promise<Intake> {
    const intake = new Intake(options);
    try {
      await intake.#begin();
      return intake;
    } catch (error) {
      intake.close();
      throw error;
    }
  }

  private constructor(options: IntakeOptions) {
    this.#options = options;
    this.#serial = options.lastSerial;
    this.#seq = options.lastSeq;
    const [first, second] = segmentPaths(options.storePath);
    this.#segments = [openSegment(first), openSegment(second)];
    syncFolder(dirname(options.storePath));
  }

  /** Of the newest batch that is durable. */
  get seq(): number {
    return this.#seq;
  }

  /** Of the newest segment. */
  get serial(): number {
    return this.#serial;
  }

  /**
   * Resolves with its number when the batch is on stable storage. `quiet`: the whole process may wait for that.
   * @throws StoreLost when the disk failed: whether the batch is durable cannot be known. Error of `settled` or `begun`: it is not
   */
  async append(batch: Uint8Array, quiet = false): Promise<number> {
    if (this.#at + frameBytes(batch.byteLength) > SEGMENT_BYTES) await this.#begin();
    const seq = this.#seq + 1;
    const parts = encodeFrame(seq, batch, this.#key);
    if (quiet && batch.byteLength <= QUICK_BYTES && this.#disk.quick)
      this.#disk.write(this.#segment.fd, parts, this.#at);
    else await writeDurably(this.#segment.fd, parts, this.#at);
    this.#at += frameBytes(batch.byteLength);
    this.#seq = seq;
    this.#segment.lastSeq = seq;
    return seq;
  }

  /**
   * Begins both segments anew: what they held is in the database, and cannot be read here any more, because the keys to it
   * came from their heads. Not while an append runs. @throws as `append`
   */
  async renew(): Promise<void> {
    await this.#begin();
    await this.#begin();
  }

  close(): void {
    for (const { fd } of this.#segments) closeSync(fd);
  }

  get #segment(): Segment {
    return this.#segments[this.#serial % 2] as Segment;
  }

  /** The other segment takes over. */
  async #begin(): Promise<void> {
    const next = this.#segments[(this.#serial + 1) % 2] as Segment;
    await this.#options.settled(next.lastSeq);
    const head = newSegmentHead(this.#serial + 1);
    await writeDurably(next.fd, [encodeHead(head, this.#options.vaultKey)], 0);
    await this.#options.begun(head.serial);
    this.#serial = head.serial;
    this.#key = segmentKey(this.#options.vaultKey, head);
    this.#at = HEAD_BYTES;
  }
}

/** A wait up to so long is shorter than the way to another thread is worth. */
const SLOW_MS = 3;
/** After a slow wait, nobody else is made to wait for so long. */
const DISTRUST_MS = 10_000;

/** Waits for the disk in this thread, as long as the disk is quick. */
class QuickDisk {
  /** performance.now() before which it is not trusted. */
  #distrusted = 0;

  get quick(): boolean {
    return DSYNC !== undefined && performance.now() >= this.#distrusted;
  }

  write(fd: number, parts: readonly Buffer[], position: number): void {
    const begun = performance.now();
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    let written: number;
    try {
      written = writevSync(fd, parts, position);
    } catch (cause) {
      throw new StoreLost("the intake cannot be written", { cause });
    }
    if (written !== length) throw new StoreLost(`the disk took ${written} of ${length} bytes`);
    const now = performance.now();
    if (now - begun > SLOW_MS) this.#distrusted = now + DISTRUST_MS;
  }
}

function writeDurably(fd: number, parts: readonly Buffer[], position: number): Promise<void> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return new Promise((resolve, reject) => {
    const lost = (cause: unknown): void => reject(new StoreLost("the intake cannot be written", { cause }));
    writev(fd, parts, position, (error, written) => {
      if (error !== null) lost(error);
      else if (written !== length) lost(new Error(`the disk took ${written} of ${length} bytes`));
      else if (DSYNC !== undefined) resolve();
      else fdatasync(fd, (failed) => (failed === null ? resolve() : lost(failed)));
    });
  });
}

const ZEROS: Buffer = Buffer.alloc(64 * 1024);

/** A file of its full size, filled with zeros and durable, so that later writes find every block in its place. */
function openSegment(path: string): Segment {
  if (!existsSync(path) || statSync(path).size < SEGMENT_BYTES) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const { size } = statSync(path);
      for (let at = size; at < SEGMENT_BYTES; ) {
        at += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, SEGMENT_BYTES - at), at);
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
  return { fd: openSync(path, constants.O_RDWR | (DSYNC ?? 0)), lastSeq: 0 };
}

/** The files' names are durable too (a system that cannot open a folder keeps them with the files). */
function syncFolder(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch {
  } finally {
    closeSync(fd);
  }
}
