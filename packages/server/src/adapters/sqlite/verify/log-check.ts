import { formatCheckpoint, type NoteVerifier, openCheckpoint, parseVkey } from "@hoopish/protocol/tlog";
import type { Query } from "../query.ts";
import type { CheckpointRow } from "../tree/checkpoint-writer.ts";
import { LogTree } from "../tree/log-tree.ts";
import { STEP, WIDTH } from "../tree/tree-reader.ts";

/** Something that cannot have come about while only the server wrote. */
export interface Finding {
  readonly kind: "record" | "tree" | "checkpoint" | "end" | "table";
  readonly message: string;
}

/** What one statement reads, so that no snapshot is held for long: the log only grows. */
const CHUNK_RECORDS = 16_384;

/**
 * Reads every record and builds the tree anew, comparing it with every node that is kept and with everything that was
 * signed. Stops at the first thing that is wrong: what follows it in the tree cannot be judged.
 */
export class LogCheck {
  readonly tree: LogTree;
  readonly #query: Query;
  readonly #origin: string;
  readonly #verifiers: readonly NoteVerifier[];
  /** Records before this are as they were signed. */
  #good = 0;
  #checkpoints = 0;
  #broken: Finding | undefined;

  constructor(query: Query, origin: string, vkeys: readonly string[]) {
    this.#query = query;
    this.#origin = origin;
    this.#verifiers = vkeys.map(parseVkey);
    this.tree = new LogTree((level, index, hash) => this.#compareNode(level, index, hash));
    this.tree.begin();
  }

  /** Checkpoints that were compared and fit. */
  get checkpoints(): number {
    return this.#checkpoints;
  }

  /** Records of [0, size). */
  run(size: number): Finding | undefined {
    const signed = this.#signed(size);
    let next = signed.next();
    const compareAt = (at: number): void => {
      while (this.#broken === undefined && next.done !== true && next.value.size === at) {
        this.#compareCheckpoint(next.value);
        next = signed.next();
      }
    };
    compareAt(0);
    for (let from = 0; from < size && this.#broken === undefined; from += CHUNK_RECORDS) {
      for (const { idx, leaf } of this.#chunk(from, Math.min(from + CHUNK_RECORDS, size))) {
        if (idx !== this.tree.size) return missing(this.tree.size);
        this.tree.push(leaf);
        compareAt(this.tree.size);
        if (this.#broken !== undefined) return this.#broken;
      }
    }
    if (this.#broken === undefined && this.tree.size !== size) return missing(this.tree.size);
    if (this.#broken === undefined && next.done !== true) {
      return {
        kind: "checkpoint",
        message: `a checkpoint of ${next.value.size} records stands between those of the log`,
      };
    }
    return this.#broken;
  }

  #chunk(from: number, to: number): Iterable<{ readonly idx: number; readonly leaf: Uint8Array }> {
    return this.#query.iterate("SELECT idx, leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx", from, to);
  }

  *#signed(size: number): Generator<CheckpointRow> {
    const sql = "SELECT size, time, root, note FROM checkpoints WHERE size > ? AND size <= ? ORDER BY size LIMIT 1000";
    for (let after = -1; ; ) {
      const rows = this.#query.all<CheckpointRow>(sql, after, size);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.size;
    }
  }

  #compareCheckpoint({ size, root, note }: CheckpointRow): void {
    const computed = this.tree.root();
    if (!computed.equals(root)) {
      this.#broken ??= {
        kind: "record",
        message: `the records ${this.#good} to ${size - 1} are not those that were signed at ${size}`,
      };
      return;
    }
    const text = formatCheckpoint({ origin: this.#origin, size: BigInt(size), root: computed });
    if (!note.startsWith(`${text}\n`) || !this.#isSigned(note)) {
      this.#broken ??= { kind: "checkpoint", message: `the checkpoint of ${size} records is not what was signed` };
      return;
    }
    this.#good = size;
    this.#checkpoints += 1;
  }

  #isSigned(note: string): boolean {
    try {
      openCheckpoint(note, this.#verifiers);
      return true;
    } catch {
      return false;
    }
  }

  /** A record and the node over it may both have been changed to fit; the checkpoint after them tells. */
  #compareNode(level: number, index: number, hash: Buffer): void {
    const sql = "SELECT hash FROM subtrees WHERE level = ? AND idx = ?";
    const kept = this.#query.get<{ hash: Uint8Array }>(sql, level, index)?.hash;
    if (kept !== undefined && hash.equals(kept)) return;
    const leaves = WIDTH ** (level / STEP);
    this.#broken ??= {
      kind: level === STEP ? "record" : "tree",
      message: `the records ${index * leaves} to ${(index + 1) * leaves - 1}, or the node of the tree over them, were changed`,
    };
  }
}

const missing = (index: number): Finding => ({ kind: "record", message: `record ${index} is missing` });
