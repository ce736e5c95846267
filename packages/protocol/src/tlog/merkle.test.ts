import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EMPTY_ROOT, Frontier, leafHash, nodeHash } from "./merkle.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The check values of RFC 6962 implementations. */
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** RFC 6962 §2.1, word for word: slow, and with nothing in common with the frontier. */
function treeHash(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leafHash(leaves[0] as Uint8Array);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

describe("hashes", () => {
  test("the empty tree is SHA-256 of nothing", () => {
    expect(hex(EMPTY_ROOT)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(new Frontier().root()).toEqual(EMPTY_ROOT);
  });

  test("a leaf and a node of the same bytes differ", () => {
    const sides = [leafHash(Buffer.from("a")), leafHash(Buffer.from("b"))] as const;
    expect(leafHash(Buffer.concat(sides))).not.toEqual(nodeHash(...sides));
  });

  test("a leaf longer than any record has its hash too", () => {
    const long = Buffer.alloc(70_000, 7);
    const exact = Buffer.alloc(65_535, 7);
    for (const leaf of [long, exact, Buffer.alloc(65_536, 7)]) {
      expect(new Set([leafHash(leaf), leafHash(leaf)].map(hex)).size).toBe(1);
    }
    expect(leafHash(long)).not.toEqual(leafHash(exact));
    // printf '\0' | cat - <(head -c 70000 /dev/zero | tr '\0' '\7') | sha256sum
    expect(hex(leafHash(long))).toBe("265c49b8a27af851d78fc56d8675420828b7ff24200db466e9be809abe476cbb");
  });

  test.each([0, 31, 33])("a side of %i bytes is refused", (length) => {
    expect(() => nodeHash(Buffer.alloc(length), EMPTY_ROOT)).toThrow(RangeError);
    expect(() => nodeHash(EMPTY_ROOT, Buffer.alloc(length))).toThrow(RangeError);
    expect(() => new Frontier().push(Buffer.alloc(length))).toThrow(RangeError);
  });
});

describe("Frontier", () => {
  test("gives the roots of RFC 6962's check values", () => {
    const frontier = new Frontier();
    const roots = LEAVES.map((leaf) => {
      frontier.push(leafHash(Buffer.from(leaf, "hex")));
      return hex(frontier.root());
    });
    expect(roots).toEqual(ROOTS);
    expect(frontier.size).toBe(8);
  });

  test("equals the definition for any leaves, and goes on from its own hashes at any size", () => {
    const leaves = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 });
    fc.assert(
      fc.property(leaves, fc.nat(70), (all, at) => {
        let frontier = new Frontier();
        for (const [i, leaf] of all.entries()) {
          if (i === at) frontier = new Frontier(frontier.size, frontier.hashes());
          frontier.push(leafHash(leaf));
        }
        expect(frontier.size).toBe(all.length);
        expect(frontier.root()).toEqual(treeHash(all));
      }),
    );
  });

  test("gives no way into itself: a changed hash or root changes nothing", () => {
    const frontier = new Frontier(1, [leafHash(Buffer.from("a"))]);
    const root = frontier.root();
    frontier.hashes()[0]?.fill(0);
    frontier.root().fill(0);
    expect(frontier.root()).toEqual(root);
    new Frontier().root().fill(0);
    expect(new Frontier().root()).toEqual(EMPTY_ROOT);
  });

  test("counts beyond 32 bits", () => {
    const hash = leafHash(Buffer.from("a"));
    const size = 2 ** 40 + 2 ** 33 - 1;
    const frontier = new Frontier(size, Array(34).fill(hash));
    frontier.push(hash);
    expect(frontier.size).toBe(size + 1);
    expect(frontier.hashes()).toHaveLength(2);
    const full = new Frontier(Number.MAX_SAFE_INTEGER, Array(53).fill(hash));
    expect(full.root()).toHaveLength(32);
    expect(() => full.push(hash)).toThrow("full");
  });

  test.each([
    ["too few", 3, 1, 32],
    ["too many", 4, 2, 32],
    ["some where there are none", 0, 1, 32],
    ["none", 5, 0, 32],
    ["short ones", 1, 1, 31],
  ])("refuses hashes that do not fit the size: %s", (_, size, count, length) => {
    expect(() => new Frontier(size, Array(count).fill(Buffer.alloc(length)))).toThrow(RangeError);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("refuses the size %d", (size) => {
    expect(() => new Frontier(size, [])).toThrow(RangeError);
  });
});
