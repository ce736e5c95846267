import type { StatementSync } from "node:sqlite";
import { Frontier, leafHash } from "@hoopish/protocol/tlog";
import type { Query } from "../query.ts";
import { STEP, TreeReader } from "./tree-reader.ts";

/** Leaves under one node that is kept. */
const WIDTH: number = 2 ** STEP;

/**
 * The tree over the log as it grows, in the writer's transactions: keeps the root of each 256 leaves, of each 256 of
 * those, and so on (32 bytes for 256 records); all other nodes are computed from the leaves when somebody asks.
 * Tier 0 takes leaves, tier 1 the roots of tier 0's full runs, …: together they are the frontier.
 */
export class LogTree {
  readonly #query: Query;
  readonly #insert: StatementSync;
  readonly #tiers: Frontier[] = [];
  #size = 0;

  constructor(query: Query, insert: StatementSync) {
    this.#query = query;
    this.#insert = insert;
    this.reload();
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
    const hashes = this.#tiers.toReversed().flatMap((tier) => tier.hashes());
    return new Frontier(this.#size, hashes).root();
  }

  /** From the database: at the start, and after a rollback. */
  reload(): void {
    const reader = new TreeReader(this.#query);
    this.#size = reader.size();
    this.#tiers.length = 0;
    // Digits of the size to the base WIDTH: how many hashes stand in each tier, behind those that went up.
    for (let level = 0, full = this.#size; full > 0; level++, full = Math.floor(full / WIDTH)) {
      const tier = new Frontier();
      for (const hash of reader.hashes(level * STEP, full - (full % WIDTH), full % WIDTH)) tier.push(hash);
      this.#tiers.push(tier);
    }
  }

  #add(level: number, hash: Buffer): void {
    this.#tiers[level] ??= new Frontier();
    const tier = this.#tiers[level];
    tier.push(hash);
    if (tier.size < WIDTH) return;
    const root = tier.root();
    const index = Math.floor(this.#size / WIDTH ** (level + 1));
    this.#insert.run((level + 1) * STEP, index, root);
    this.#tiers[level] = new Frontier();
    this.#add(level + 1, root);
  }
}
