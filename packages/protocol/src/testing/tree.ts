import { Frontier, leafHash, nodeHash } from "../tlog/merkle.ts";
import type { NodeReader } from "../tlog/proofs.ts";

/** A whole tree in memory. */
export interface Tree {
  readonly node: NodeReader;
  /** Hash of the leaf. */
  leaf(index: number): Buffer;
  /** Root of the first `size` leaves. */
  root(size: number): Buffer;
}

export function treeOf(leaves: readonly Uint8Array[]): Tree {
  const levels: Buffer[][] = [leaves.map(leafHash)];
  for (let below = levels[0] as Buffer[]; below.length > 1; below = levels.at(-1) as Buffer[]) {
    const pairs = Math.floor(below.length / 2);
    levels.push(Array.from({ length: pairs }, (_, i) => nodeHash(below[2 * i] as Buffer, below[2 * i + 1] as Buffer)));
  }
  const node: NodeReader = (level, index) => {
    const hash = levels[level]?.[index];
    if (hash === undefined) throw new RangeError(`no node ${index} on level ${level}`);
    return hash;
  };
  return {
    node,
    leaf: (index) => Buffer.from(node(0, index)),
    root: (size) => {
      const frontier = new Frontier();
      for (let i = 0; i < size; i++) frontier.push(node(0, i));
      return frontier.root();
    },
  };
}
