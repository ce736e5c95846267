import { createHash } from "node:crypto";

/** RFC 6962 §2.1 as it stands there, for tests of the tree that is kept: no code of it is shared. */

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

export const plainLeaf = (leaf: Uint8Array): Buffer => sha256(LEAF, leaf);

/** The largest power of two smaller than n. */
const split = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1);

/** MTH over hashes of leaves, each subtree computed once. */
export class PlainTree {
  readonly #leaves: readonly Buffer[];
  readonly #known = new Map<string, Buffer>();

  constructor(leaves: readonly Buffer[]) {
    this.#leaves = leaves;
  }

  root(from: number, to: number): Buffer {
    if (to === from) return sha256();
    if (to - from === 1) return this.#leaves[from] as Buffer;
    const label = `${from}-${to}`;
    const known = this.#known.get(label);
    if (known !== undefined) return known;
    const k = split(to - from);
    const node = sha256(NODE, this.root(from, from + k), this.root(from + k, to));
    this.#known.set(label, node);
    return node;
  }

  /** PATH(m, D[n]). */
  path(index: number, from: number, to: number): Buffer[] {
    if (to - from === 1) return [];
    const k = split(to - from);
    return index < k
      ? [...this.path(index, from, from + k), this.root(from + k, to)]
      : [...this.path(index - k, from + k, to), this.root(from, from + k)];
  }

  /** PROOF(m, D[n]), 0 < m < n. */
  proof(size1: number, size2: number): Buffer[] {
    return this.#subproof(size1, 0, size2, true);
  }

  #subproof(m: number, from: number, to: number, known: boolean): Buffer[] {
    const n = to - from;
    if (m === n) return known ? [] : [this.root(from, to)];
    const k = split(n);
    return m <= k
      ? [...this.#subproof(m, from, from + k, known), this.root(from + k, to)]
      : [...this.#subproof(m - k, from + k, to, false), this.root(from, from + k)];
  }
}
