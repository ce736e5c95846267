import { HASH_BYTES, half, isOdd, parent, requireHash, requireSize, toDigest } from "./digest.ts";
import { EMPTY_ROOT, nodeHash } from "./merkle.ts";

/**
 * Inclusion and consistency proofs of the RFC 6962 tree. Making one reads nodes through the caller's `NodeReader`;
 * checking one needs nothing, and is what an examiner runs: what it is given may come from an attacker.
 */

/** Hashes that a proof in a tree of up to 2^63 leaves can have (C2SP tlog-witness sets the same limit). */
export const MAX_PROOF_HASHES = 63;

/** Root of the perfect subtree of the leaves [index · 2^level, (index + 1) · 2^level). */
export type NodeReader = (level: number, index: number) => Uint8Array;

/**
 * The hashes that lead from leaf `index` to the root of the first `size` leaves, the leaf's sibling first
 * (RFC 6962 §2.1.1).
 * @throws RangeError when there is no such leaf
 */
export function inclusionProof(index: number, size: number, node: NodeReader): Buffer[] {
  requireSize(size);
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  }
  const proof: Buffer[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + leftSize(end - start);
    if (index < middle) {
      proof.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      proof.push(subtreeRoot(start, middle, node));
      start = middle;
    }
  }
  return proof.reverse();
}

/**
 * The hashes that show the tree of `size1` leaves to be the beginning of the tree of `size2` (RFC 6962 §2.1.2). Empty
 * where there is nothing to show: equal sizes, and `size1` 0, which every tree begins with.
 * @throws RangeError unless 0 ≤ size1 ≤ size2
 */
export function consistencyProof(size1: number, size2: number, node: NodeReader): Buffer[] {
  requireSize(size1);
  requireSize(size2);
  if (size1 > size2) throw new RangeError(`a tree of ${size1} leaves is no beginning of one of ${size2}`);
  if (size1 === 0 || size1 === size2) return [];
  const proof: Buffer[] = [];
  let start = 0;
  let end = size2;
  while (end !== size1) {
    const middle = start + leftSize(end - start);
    if (size1 <= middle) {
      proof.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      proof.push(subtreeRoot(start, middle, node));
      start = middle;
    }
  }
  // With start 0 this is the old root itself, which whoever checks has.
  if (start > 0) proof.push(subtreeRoot(start, end, node));
  return proof.reverse();
}

/** The largest power of two ≤ n, for n ≥ 1. */
function largestPowerOfTwo(n: number): number {
  let power = 1;
  while (power <= n / 2) power *= 2;
  return power;
}

const isPowerOfTwo = (n: number): boolean => n === largestPowerOfTwo(n);

/** Leaves of the left child of a tree of `leaves` ≥ 2: the largest power of two below. */
function leftSize(leaves: number): number {
  const power = largestPowerOfTwo(leaves);
  return power === leaves ? power / 2 : power;
}

/** Root over the leaves [start, end), a subtree of RFC 6962's splitting: perfect, or at the right edge. */
function subtreeRoot(start: number, end: number, node: NodeReader): Buffer {
  const leaves = end - start;
  if (isPowerOfTwo(leaves)) {
    const root = node(Math.log2(leaves), start / leaves);
    requireHash(root);
    return Buffer.from(root);
  }
  const middle = start + leftSize(leaves);
  return nodeHash(subtreeRoot(start, middle, node), subtreeRoot(middle, end, node));
}

/**
 * Whether the leaf stands at `index` in the tree of `size` leaves under `root` (RFC 9162 §2.1.3.2). Whatever an
 * attacker gives, the answer is `false` and never an exception, after at most 53 hashes.
 */
export function verifyInclusion(
  leafHash: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  if (leafHash.byteLength !== HASH_BYTES) return false;
  let fn = index;
  let sn = size - 1;
  let r = toDigest(leafHash);
  for (const p of proof) {
    if (sn === 0 || p.byteLength !== HASH_BYTES) return false;
    if (isOdd(fn) || fn === sn) {
      r = parent(toDigest(p), r);
      for (; !isOdd(fn) && fn !== 0; sn = half(sn)) fn = half(fn);
    } else {
      r = parent(r, toDigest(p));
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && r === toDigest(root);
}

/**
 * Whether the tree of `size1` leaves under `root1` is the beginning of the tree of `size2` under `root2`
 * (RFC 9162 §2.1.4.2). `false` and never an exception, whatever an attacker gives. With `size1` 0 and another `size2`
 * there is nothing to check and the answer is `false`: a caller who accepts an empty beginning says so itself.
 */
export function verifyConsistency(
  size1: number,
  size2: number,
  root1: Uint8Array,
  root2: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(size1) || !Number.isSafeInteger(size2) || size1 < 0 || size1 > size2) return false;
  if (size1 === size2) {
    if (size1 === 0 && toDigest(root1) !== toDigest(EMPTY_ROOT)) return false;
    return proof.length === 0 && toDigest(root1) === toDigest(root2);
  }
  // An empty proof never shows that a tree has grown, not even from a size that is a power of two.
  if (size1 === 0 || proof.length === 0 || proof.length > MAX_PROOF_HASHES) return false;
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : proof;
  if (path.some((hash) => hash.byteLength !== HASH_BYTES)) return false;
  let fn = size1 - 1;
  let sn = size2 - 1;
  for (; isOdd(fn); sn = half(sn)) fn = half(fn);
  let fr = toDigest(path[0] as Uint8Array);
  let sr = fr;
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    const sibling = toDigest(c);
    if (isOdd(fn) || fn === sn) {
      fr = parent(sibling, fr);
      sr = parent(sibling, sr);
      for (; !isOdd(fn) && fn !== 0; sn = half(sn)) fn = half(fn);
    } else {
      sr = parent(sr, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && fr === toDigest(root1) && sr === toDigest(root2);
}
