import type { DatabaseSync, StatementSync } from "node:sqlite";
import { CHECKPOINTS_ASKED, CHECKPOINTS_DONE, ring, SLOTS } from "./shared.ts";

const MIB = 1024 * 1024;
/** From here on the WAL is moved into the database. */
const START_BYTES = 4 * MIB;
/** What the writer moves itself: a few milliseconds. */
const SHORT_BYTES = 2 * MIB;
/** If the other thread does not keep up, the writer waits for the whole of it rather than let the WAL grow for ever. */
const LONGEST_BYTES = 64 * MIB;
/** Committed between two looks at the WAL. */
const LOOK_AFTER_BYTES = MIB / 2;
/** A commit rewrites a few pages, however little it brings. */
const COMMIT_OVERHEAD_BYTES = 24 * 1024;

/**
 * Moves what is committed from the WAL into the database, so that the WAL can begin anew. The reader's thread does
 * most of it beside the commits (it took the writer 30 ms for 16 MiB, in which nobody's record became durable); the writer does
 * the short rest, since the WAL begins anew only when all of it is moved.
 */
export class Checkpoints {
  readonly #db: DatabaseSync;
  readonly #control: Int32Array;
  readonly #state: StatementSync;
  readonly #pageBytes: number;
  readonly #alone: boolean;
  #sinceLook = 0;

  /** `alone`: no other thread helps. */
  constructor(db: DatabaseSync, control: Int32Array, alone: boolean) {
    this.#db = db;
    this.#control = control;
    this.#alone = alone;
    this.#state = db.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#pageBytes = (db.prepare("PRAGMA page_size").get() as { page_size: number }).page_size;
  }

  committed(bytes: number): void {
    this.#sinceLook += bytes + COMMIT_OVERHEAD_BYTES;
  }

  /** Between commits. @throws Error of SQLite */
  tidy(): void {
    if (this.#sinceLook < LOOK_AFTER_BYTES) return;
    this.#sinceLook = 0;
    const { log, checkpointed } = this.#state.get() as { log: number; checkpointed: number };
    const size = log * this.#pageBytes;
    const rest = (log - checkpointed) * this.#pageBytes;
    if (size < START_BYTES) return;
    if (this.#alone || size >= LONGEST_BYTES || rest <= SHORT_BYTES) this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    else this.#ask();
  }

  #ask(): void {
    const asked = Atomics.load(this.#control, CHECKPOINTS_ASKED);
    if (asked !== Atomics.load(this.#control, CHECKPOINTS_DONE)) return;
    Atomics.store(this.#control, CHECKPOINTS_ASKED, (asked + 1) | 0);
    ring(this.#control, SLOTS.reader);
  }
}

/** The reader's part, on a connection that can write. */
export class CheckpointHelper {
  /** Nothing is left for later. */
  readonly waiting: boolean = false;
  readonly #db: DatabaseSync;
  readonly #control: Int32Array;

  constructor(db: DatabaseSync, control: Int32Array) {
    this.#db = db;
    this.#control = control;
  }

  /** Does what the writer has asked for since the last time. */
  tidy(): void {
    const asked = Atomics.load(this.#control, CHECKPOINTS_ASKED);
    if (asked === Atomics.load(this.#control, CHECKPOINTS_DONE)) return;
    try {
      this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // A full or broken disk: the next commit finds out and says so, and the WAL keeps what is committed.
    }
    Atomics.store(this.#control, CHECKPOINTS_DONE, asked);
  }
}
