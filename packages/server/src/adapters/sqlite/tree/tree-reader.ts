import { consistencyProof, EMPTY_ROOT, Frontier, inclusionProof, leafHash } from "@hoopish/protocol/tlog";
import type { Query } from "../query.ts";

/** Every STEP-th level of the tree is kept, from STEP on. */
export const STEP = 8;
/** Nodes of one kept level, or leaves, under one of the next. */
export const WIDTH: number = 2 ** STEP;

/** The tree's nodes, from what is kept and from the leaves. */
export class TreeReader {
  readonly #query: Query;

  constructor(query: Query) {
    this.#query = query;
  }

  /** Records in the log. */
  size(): number {
    return this.#query.get<{ size: number }>("SELECT coalesce(max(idx) + 1, 0) AS size FROM records")?.size ?? 0;
  }

  /** Root of the perfect subtree of the leaves [index · 2^level, (index + 1) · 2^level). */
  readonly node = (level: number, index: number): Buffer => {
    const kept = level - (level % STEP);
    const count = 2 ** (level - kept);
    return joined(this.hashes(kept, index * count, count));
  };

  /** Roots of the perfect subtrees of the first `size` leaves, largest first: the left edge of what follows. */
  edge(size: number): Buffer[] {
    const hashes: Buffer[] = [];
    let start = 0;
    for (let level = 52; level >= 0; level--) {
      const leaves = 2 ** level;
      if (size - start < leaves) continue;
      hashes.push(this.node(level, start / leaves));
      start += leaves;
    }
    return hashes;
  }

  root(size: number): Buffer {
    return size === 0 ? EMPTY_ROOT : new Frontier(size, this.edge(size)).root();
  }

  inclusion(index: number, size: number): Buffer[] {
    return inclusionProof(index, size, this.node);
  }

  consistency(size1: number, size2: number): Buffer[] {
    return consistencyProof(size1, size2, this.node);
  }

  /** Kept hashes of a level, or hashes of leaves at level 0: `count` of them. */
  hashes(level: number, first: number, count: number): Buffer[] {
    const rows =
      level === 0
        ? this.#query
            .all<{ leaf: Uint8Array }>(
              "SELECT leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
              first,
              first + count,
            )
            .map(({ leaf }) => leafHash(leaf))
        : this.#query
            .all<{ hash: Uint8Array }>(
              "SELECT hash FROM subtrees WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
              level,
              first,
              first + count,
            )
            .map(({ hash }) => Buffer.from(hash));
    if (rows.length !== count) throw broken(`the log's tree has a hole at level ${level}, ${first}`);
    return rows;
  }

  /**
   * Whether the kept nodes of the first `size` leaves are all there, nothing else is, and each is made of those below it.
   * The lowest are made of leaves, which are many, and are not read for this.
   * @throws Error with code HOOPISH_LOG
   */
  checkKept(size: number): void {
    let kept = 0;
    for (let level = STEP, below = size; below >= WIDTH; level += STEP) {
      const count = Math.floor(below / WIDTH);
      for (let index = 0; level > STEP && index < count; index++) {
        const [node] = this.hashes(level, index, 1);
        if (!joined(this.hashes(level - STEP, index * WIDTH, WIDTH)).equals(node as Buffer)) {
          throw broken(`a node of the log's tree was changed at or below level ${level}, ${index}`);
        }
      }
      kept += count;
      below = count;
    }
    const found = this.#query.get<{ count: number }>("SELECT count(*) AS count FROM subtrees")?.count;
    if (found !== kept) throw broken(`${found} nodes of the log's tree are kept, not ${kept}`);
  }
}

const broken = (what: string): Error => Object.assign(new Error(what), { code: "HOOPISH_LOG" });

/** The root over a power of two of hashes. */
function joined(hashes: readonly Buffer[]): Buffer {
  const frontier = new Frontier();
  for (const hash of hashes) frontier.push(hash);
  return frontier.root();
}
