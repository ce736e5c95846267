import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sharedData } from "../testing/shared-data.ts";
import { type Tree, treeOf } from "../testing/tree.ts";
import { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from "./proofs.ts";

const MAX_LEAVES = 130;
const leaves = Array.from({ length: MAX_LEAVES }, (_, i) => Buffer.from(`record ${i}`));
const tree: Tree = treeOf(leaves);

/** A size from 1 on, and a place below it. */
const place = fc.integer({ min: 1, max: MAX_LEAVES }).chain((size) => fc.tuple(fc.nat(size - 1), fc.constant(size)));

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

function flippedIn(proof: readonly Buffer[], which: number, bit: number): Buffer[] {
  return proof.map((hash, i) => (i === which % proof.length ? flipped(hash, bit) : hash));
}

const garbage = Buffer.alloc(32, 0x5a);

describe("inclusion", () => {
  test("every leaf of every size has a proof that verifies, and nowhere else", () => {
    for (let size = 1; size <= 40; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, size, tree.node);
        const holds = (at: number, of: number): boolean =>
          verifyInclusion(tree.leaf(index), at, of, proof, tree.root(size));
        expect(holds(index, size)).toBe(true);
        for (let other = 0; other < size; other++) if (other !== index) expect(holds(other, size)).toBe(false);
      }
    }
  });

  test("a flipped bit anywhere, a hash too many, too few or moved: refused", () => {
    fc.assert(
      fc.property(place, fc.nat(255), fc.nat(), ([index, size], bit, which) => {
        const leaf = tree.leaf(index);
        const root = tree.root(size);
        const proof = inclusionProof(index, size, tree.node);
        expect(verifyInclusion(leaf, index, size, proof, root)).toBe(true);
        expect(verifyInclusion(flipped(leaf, bit), index, size, proof, root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, proof, flipped(root, bit))).toBe(false);
        expect(verifyInclusion(leaf, index, size, [...proof, garbage], root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, [garbage, ...proof], root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, [...proof, root], root)).toBe(false);
        if (proof.length === 0) return;
        expect(verifyInclusion(leaf, index, size, flippedIn(proof, which, bit), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, proof.slice(1), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, proof.slice(0, -1), root)).toBe(false);
        if (proof.length > 1) expect(verifyInclusion(leaf, index, size, proof.toReversed(), root)).toBe(false);
      }),
    );
  });

  test("another root, and another size where the way to the root differs: refused", () => {
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: MAX_LEAVES }), ([index, size], other) => {
        fc.pre(other !== size);
        const proof = inclusionProof(index, size, tree.node);
        expect(verifyInclusion(tree.leaf(index), index, size, proof, tree.root(other))).toBe(false);
        // A proof does not bind the size by itself (RFC 9162 §2.1.3): the signed checkpoint binds size and root.
        const itsOwn = index < other ? inclusionProof(index, other, tree.node).length : -1;
        if (itsOwn !== proof.length) {
          expect(verifyInclusion(tree.leaf(index), index, other, proof, tree.root(size))).toBe(false);
        }
      }),
    );
  });

  test.each([
    ["a negative index", -1, 8],
    ["half an index", 0.5, 8],
    ["an index beyond", 8, 8],
    ["no number", Number.NaN, 8],
    ["a size beyond 2^53", 0, 2 ** 53],
    ["an empty tree", 0, 0],
  ])("%s: false, no exception; and no such proof is made", (_, index, size) => {
    expect(verifyInclusion(tree.leaf(0), index, size, [], tree.leaf(0))).toBe(false);
    expect(() => inclusionProof(index, size, tree.node)).toThrow(RangeError);
  });

  test("hashes of a wrong length: false", () => {
    const proof = inclusionProof(3, 8, tree.node);
    const short = proof.map((hash) => hash.subarray(1));
    expect(verifyInclusion(tree.leaf(3), 3, 8, short, tree.root(8))).toBe(false);
    expect(verifyInclusion(Buffer.alloc(0), 3, 8, proof, tree.root(8))).toBe(false);
    expect(verifyInclusion(tree.leaf(0), 0, 1, [], Buffer.alloc(0))).toBe(false);
    expect(verifyInclusion(Buffer.alloc(0), 0, 1, [], Buffer.alloc(0))).toBe(false);
  });
});

describe("consistency", () => {
  test("every size is the beginning of every later one", () => {
    for (let size2 = 1; size2 <= 70; size2++) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const proof = consistencyProof(size1, size2, tree.node);
        expect(verifyConsistency(size1, size2, tree.root(size1), tree.root(size2), proof)).toBe(true);
      }
    }
  });

  test("a flipped bit anywhere, a hash too many or too few, other roots: refused", () => {
    fc.assert(
      fc.property(place, fc.nat(255), fc.nat(), ([below, size2], bit, which) => {
        fc.pre(below > 0);
        const size1 = below;
        const [root1, root2] = [tree.root(size1), tree.root(size2)];
        const proof = consistencyProof(size1, size2, tree.node);
        expect(verifyConsistency(size1, size2, root1, root2, proof)).toBe(true);
        expect(verifyConsistency(size1, size2, flipped(root1, bit), root2, proof)).toBe(false);
        expect(verifyConsistency(size1, size2, root1, flipped(root2, bit), proof)).toBe(false);
        expect(verifyConsistency(size1, size2, root2, root1, proof)).toBe(false);
        expect(verifyConsistency(size1, size2, root1, root2, flippedIn(proof, which, bit))).toBe(false);
        for (const wrong of [[...proof, garbage], [garbage, ...proof], proof.slice(1), proof.slice(0, -1), []]) {
          expect(verifyConsistency(size1, size2, root1, root2, wrong)).toBe(false);
        }
        expect(verifyConsistency(size2, size1, root2, root1, proof)).toBe(false);
      }),
    );
  });

  test("a history with one other record has no proof: what is made for it does not verify", () => {
    const size2 = 100;
    for (let size1 = 1; size1 < 60; size1++) {
      const rewritten = treeOf(leaves.map((leaf, i) => (i === size1 - 1 ? Buffer.from("another story") : leaf)));
      const proof = consistencyProof(size1, size2, rewritten.node);
      expect(verifyConsistency(size1, size2, tree.root(size1), rewritten.root(size2), proof)).toBe(false);
    }
  });

  test("the empty beginning needs no proof and is never verified", () => {
    expect(consistencyProof(0, 8, tree.node)).toEqual([]);
    expect(verifyConsistency(0, 8, tree.root(0), tree.root(8), [])).toBe(false);
    expect(verifyConsistency(0, 0, tree.root(0), tree.root(0), [])).toBe(true);
  });

  test.each([
    ["backwards", 8, 7],
    ["a negative size", -1, 7],
    ["half a size", 0.5, 7],
    ["beyond 2^53", 1, 2 ** 53],
  ])("%s: false, no exception; and no such proof is made", (_, size1, size2) => {
    expect(verifyConsistency(size1, size2, tree.root(8), tree.root(7), [tree.leaf(0)])).toBe(false);
    expect(() => consistencyProof(size1, size2, tree.node)).toThrow(RangeError);
  });
});

/** One case of github.com/transparency-dev/merkle's test data; hashes in base64, some of them broken on purpose. */
interface Vector {
  readonly desc: string;
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
  readonly root: string;
  readonly root1: string;
  readonly root2: string;
  readonly leafHash: string;
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly size1: number;
  readonly size2: number;
  readonly start: number;
  readonly end: number;
  readonly size: number;
}

const bytes = (base64: string): Buffer => Buffer.from(base64, "base64");
const vectors = sharedData("tlog/merkle");

function vectorsOf(kind: string): { path: string; vector: Vector }[] {
  if (vectors === undefined) return [];
  return readdirSync(join(vectors, kind), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json"))
    .map((path) => ({ path, vector: JSON.parse(readFileSync(join(vectors, kind, path), "utf8")) as Vector }));
}

describe.skipIf(vectors === undefined)("third-party vectors", () => {
  test("are all there", () => {
    const counts = ["inclusion", "consistency", "subtreeinclusion", "subtreeconsistency"].map(
      (x) => vectorsOf(x).length,
    );
    expect(counts).toEqual([98, 98, 204, 118]);
  });

  test.each(vectorsOf("inclusion"))("inclusion/$path", ({ vector: { leafIdx, treeSize, wantErr, ...v } }) => {
    const proof = (v.proof ?? []).map(bytes);
    expect(verifyInclusion(bytes(v.leafHash), leafIdx, treeSize, proof, bytes(v.root))).toBe(!wantErr);
  });

  test.each(vectorsOf("consistency"))("consistency/$path", ({ vector: { size1, size2, wantErr, ...v } }) => {
    const proof = (v.proof ?? []).map(bytes);
    expect(verifyConsistency(size1, size2, bytes(v.root1), bytes(v.root2), proof)).toBe(!wantErr);
  });

  /**
   * Subtrees [start, end) of draft-ietf-plants-merkle-tree-certs are no part of RFC 6962: cases that begin at 0 are
   * proofs of whole trees and apply. Left out are those that begin later, which have no meaning here, and those of the
   * empty subtree, which that draft has consistent with anything and RFC 9162 does not define.
   */
  const fromZero = (kind: string) =>
    vectorsOf(kind).filter(({ vector: { start, end } }) => start === 0 && (end > 0 || kind === "subtreeinclusion"));

  test("of subtrees, as many apply", () => {
    expect([fromZero("subtreeinclusion").length, fromZero("subtreeconsistency").length]).toEqual([101, 91]);
  });

  test.each(fromZero("subtreeinclusion"))("subtreeinclusion/$path", ({ vector: { leafIdx, end, wantErr, ...v } }) => {
    const proof = (v.proof ?? []).map(bytes);
    expect(verifyInclusion(bytes(v.leafHash), leafIdx, end, proof, bytes(v.root))).toBe(!wantErr);
  });

  test.each(fromZero("subtreeconsistency"))("subtreeconsistency/$path", ({ vector: { end, size, wantErr, ...v } }) => {
    const proof = (v.proof ?? []).map(bytes);
    expect(verifyConsistency(end, size, bytes(v.root1), bytes(v.root2), proof)).toBe(!wantErr);
  });
});
