import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reasonOf } from "../testing/reason.ts";
import { sharedData } from "../testing/shared-data.ts";
import { treeOf } from "../testing/tree.ts";
import { formatCheckpoint, openCheckpoint, parseCheckpoint, treeSizeOf } from "./checkpoint.ts";
import { EMPTY_ROOT, Frontier, leafHash } from "./merkle.ts";
import { openNote, signNote } from "./note.ts";
import { ed25519Signer } from "./note-key.ts";
import { verifyInclusion } from "./proofs.ts";
import { parseVkey } from "./vkey.ts";

const root = EMPTY_ROOT.toString("base64");

describe("a checkpoint", () => {
  test("comes back as it was written", () => {
    const line = fc.string({ minLength: 1 }).filter((part) => !/\p{Cc}/u.test(part));
    const anyRoot = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    const size = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(line, size, anyRoot, fc.array(line), (origin, of, hash, extensions) => {
        const checkpoint = { origin, size: of, root: hash, extensions };
        expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
      }),
    );
  });

  test("has its size as a number only where JavaScript can count to it", () => {
    expect(treeSizeOf({ size: 2n ** 53n - 1n })).toBe(Number.MAX_SAFE_INTEGER);
    expect(reasonOf(() => treeSizeOf({ size: 2n ** 53n }))).toBe("too_large");
  });

  test.each([
    ["nothing", ""],
    ["two lines", "a\n1\n"],
    ["no last newline", `a\n1\n${root}`],
    ["an empty origin", `\n1\n${root}\n`],
    ["an empty extension", `a\n1\n${root}\n\n`],
    ["an extension after an empty line", `a\n1\n${root}\n\nb\n`],
    ["a leading zero", `a\n01\n${root}\n`],
    ["two zeroes", `a\n00\n${root}\n`],
    ["a sign", `a\n+1\n${root}\n`],
    ["a negative size", `a\n-1\n${root}\n`],
    ["a fraction", `a\n1.0\n${root}\n`],
    ["hexadecimal", `a\n0x1\n${root}\n`],
    ["an exponent", `a\n1e3\n${root}\n`],
    ["other digits", `a\n١\n${root}\n`],
    ["a space", `a\n1 \n${root}\n`],
    ["an empty size", `a\n\n${root}\n`],
    ["a size beyond 64 bits", `a\n18446744073709551616\n${root}\n`],
    ["a size without end", `a\n${"9".repeat(500_000)}\n${root}\n`],
    ["a root without padding", `a\n1\n${root.replace("=", "")}\n`],
    ["a root with stray bits", `a\n1\n${root.replace("FU=", "FV=")}\n`],
    ["a root for URLs", `a\n1\n${root.replaceAll("/", "_")}\n`],
    ["a short root", `a\n1\n${Buffer.alloc(31).toString("base64")}\n`],
    ["a long root", `a\n1\n${Buffer.alloc(33).toString("base64")}\n`],
    ["a carriage return", `a\r\n1\r\n${root}\r\n`],
  ])("%s: malformed", (_, text) => {
    expect(reasonOf(() => parseCheckpoint(text))).toBe("malformed");
  });

  test.each([
    ["an empty origin", { origin: "" }],
    ["two lines of origin", { origin: "a\nb" }],
    ["a carriage return", { origin: "a\r" }],
    ["an empty extension", { extensions: [""] }],
    ["a negative size", { size: -1n }],
    ["a size beyond 64 bits", { size: 2n ** 64n }],
    ["a short root", { root: Buffer.alloc(31) }],
  ])("is not written with %s", (_, wrong) => {
    const checkpoint = { origin: "a", size: 1n, root: EMPTY_ROOT, ...wrong };
    expect(reasonOf(() => formatCheckpoint(checkpoint))).toBe("malformed");
  });
});

const tessera = sharedData("tlog/tessera-log");
const SIZES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

describe.skipIf(tessera === undefined)("the test log of Tessera", () => {
  const file = (name: string): Buffer => readFileSync(join(tessera ?? "", name));

  /** `PRIVATE+KEY+name+id+base64(0x01 ‖ seed)`, Go's way to write a signer's key; this one is public on purpose. */
  function testKey(): { name: string; key: KeyObject } {
    const written = "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg";
    const [, name = "", base64 = ""] = /^PRIVATE\+KEY\+([^+]+)\+.{8}\+(.*)$/.exec(written) ?? [];
    const seed = Buffer.from(base64, "base64").subarray(1);
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    return { name, key: createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }) };
  }

  const signer = ed25519Signer(testKey().name, testKey().key);

  /** C2SP tlog-tiles: entries, each behind its length in two bytes. */
  function entries(size: number): Buffer[] {
    if (size === 0) return [];
    const bundle = file(`tile/entries/000.p/${size}`);
    const all: Buffer[] = [];
    for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
      all.push(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at)));
    }
    return all;
  }

  function leafHashes(size: number): Buffer[] {
    const tile = size === 0 ? Buffer.alloc(0) : file(`tile/0/000.p/${size}`);
    return Array.from({ length: tile.length / 32 }, (_, i) => tile.subarray(i * 32, (i + 1) * 32));
  }

  test("its key id is what the public key says", () => {
    expect(signer.keyId.toString("hex")).toBe("33d7b496");
  });

  test.each(SIZES)("checkpoint.%i: its tiles give the root, and the key gives the same bytes again", (size) => {
    const stored = file(`checkpoint.${size}`);
    const { checkpoint } = openCheckpoint(stored, [parseVkey(signer.vkey)]);
    expect(checkpoint).toMatchObject({ origin: "example.com/log/testdata", size: BigInt(size), extensions: [] });

    expect(entries(size).map(leafHash)).toEqual(leafHashes(size));
    const frontier = new Frontier();
    for (const hash of leafHashes(size)) frontier.push(hash);
    expect(frontier.root()).toEqual(checkpoint.root);

    const text = formatCheckpoint({ origin: signer.name, size: BigInt(size), root: treeOf(entries(size)).root(size) });
    expect(Buffer.from(signNote(text, [signer]))).toEqual(stored);
  });

  test("its newest checkpoint is that of 15 entries", () => {
    expect(file("checkpoint")).toEqual(file("checkpoint.15"));
  });
});

const rekor = sharedData("tlog/rekor-v2-log2025-1.json");

describe.skipIf(rekor === undefined)("two entries of a real Rekor v2 log", () => {
  interface Entry {
    readonly logIndex: string;
    readonly treeSize: string;
    readonly rootHash: string;
    readonly hashes: readonly string[];
    readonly checkpoint: string;
    readonly canonicalizedBody: string;
  }
  const { vkey, entries } = JSON.parse(rekor === undefined ? '{"entries":[]}' : readFileSync(rekor, "utf8")) as {
    vkey: string;
    entries: Entry[];
  };

  test.each(entries)("entry $logIndex: the signature, the root, and the way from the body to it", (entry) => {
    const { checkpoint } = openCheckpoint(entry.checkpoint, [parseVkey(vkey)]);
    expect(checkpoint.origin).toBe("log2025-1.rekor.sigstore.dev");
    expect(checkpoint.root.toString("base64")).toBe(entry.rootHash);
    expect(String(checkpoint.size)).toBe(entry.treeSize);
    const body = Buffer.from(entry.canonicalizedBody, "base64");
    const proof = entry.hashes.map((hash) => Buffer.from(hash, "base64"));
    const holds = (leaf: Uint8Array, index: number): boolean =>
      verifyInclusion(leafHash(leaf), index, treeSizeOf(checkpoint), proof, checkpoint.root);
    expect(holds(body, Number(entry.logIndex))).toBe(true);
    expect(holds(body, Number(entry.logIndex) - 1)).toBe(false);
    expect(holds(body.subarray(1), Number(entry.logIndex))).toBe(false);
  });

  test("another size under the same signature is refused", () => {
    for (const { checkpoint, treeSize } of entries) {
      const changed = checkpoint.replace(treeSize, String(Number(treeSize) + 1));
      expect(reasonOf(() => openNote(changed, [parseVkey(vkey)]))).toBe("bad_signature");
    }
  });
});
