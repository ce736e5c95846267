import { Frontier, leafHash } from "@hoopish/protocol/tlog";
import type { Query } from "../query.ts";
import { STEP, TreeReader, WIDTH } from "./tree-reader.ts";

/** Is given each node that is kept, once it is whole. */
export type KeepNode = (level: number, index: number, hash: Buffer) => void;

/**
 * The tree over the log as it grows, in the writer's transactions: keeps the root of each 256 leaves, of each 256 of
 * those, and so on (32 bytes for 256 records); all other nodes are computed from the leaves when somebody asks.
 * Tier 0 takes leaves, tier 1 the roots of tier 0's full runs, …: together they are the frontier.
 */
export class LogTree {
  readonly #keep: KeepNode;
  #tiers: Frontier[] = [];
  #size = Number.NaN;

  /** It has to be loaded, or begun, first. */
  constructor(keep: KeepNode) {
    this.#keep = keep;
  }

  get size(): number {
    return this.#size;
  }

  /** The next record of the log. Inside its transaction. */
  push(leaf: Uint8Array): void {
    this.#add(0, leafHash(leaf));
    this.#size += 1;
  }

  root(): Buffer {
    return this.#root(this.#size);
  }

  /** The empty tree. */
  begin(): void {
    this.#tiers = [];
    this.#size = 0;
  }

  /**
   * From the database: at the start, and after a rollback. `check` looks at what was read.
   * @throws Error of SQLite or `check`, or with code HOOPISH_LOG; the tree has no size then, and no record follows it
   */
  load(query: Query, check: (size: number, root: Buffer) => void): void {
    this.#size = Number.NaN;
    const reader = new TreeReader(query);
    const size = reader.size();
    const tiers: Frontier[] = [];
    // Digits of the size to the base WIDTH: how many hashes stand in each tier, behind those that went up.
    for (let level = 0, full = size; full > 0; level++, full = Math.floor(full / WIDTH)) {
      const tier = new Frontier();
      for (const hash of reader.hashes(level * STEP, full - (full % WIDTH), full % WIDTH)) tier.push(hash);
      tiers.push(tier);
    }
    this.#tiers = tiers;
    check(size, this.#root(size));
    this.#size = size;
  }

  #root(size: number): Buffer {
    const hashes = this.#tiers.toReversed().flatMap((tier) => tier.hashes());
    return new Frontier(size, hashes).root();
  }

  #add(level: number, hash: Buffer): void {
    this.#tiers[level] ??= new Frontier();
    const tier = this.#tiers[level];
    tier.push(hash);
    if (tier.size < WIDTH) return;
    const root = tier.root();
    const index = Math.floor(this.#size / WIDTH ** (level + 1));
    this.#keep((level + 1) * STEP, index, root);
    this.#tiers[level] = new Frontier();
    this.#add(level + 1, root);
  }
}
