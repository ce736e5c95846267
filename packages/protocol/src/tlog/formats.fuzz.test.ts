import fc from "fast-check";
import { expect, test } from "vitest";
import { reasonOf } from "../testing/reason.ts";
import { treeOf } from "../testing/tree.ts";
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { cosigner } from "./cosignature.ts";
import { addSignatures, openNote, signatureLine, signNote } from "./note.ts";
import { ed25519Signer, newLogKey, parseLogKey } from "./note-key.ts";
import { consistencyProof, inclusionProof } from "./proofs.ts";
import { formatTlogProof, parseTlogProof, verifyTlogProof } from "./tlog-proof.ts";
import { parseVkey } from "./vkey.ts";
import { formatAddCheckpoint, parseAddCheckpoint, parseTreeSize } from "./witness.ts";

const leaves = Array.from({ length: 9 }, (_, i) => Buffer.from(`record ${i}`));
const tree = treeOf(leaves);
const log = ed25519Signer("log.example", newLogKey());
const witness = cosigner("witness.example", newLogKey(), () => 1_765_432_100);
const keys = [parseVkey(log.vkey), parseVkey(witness.vkey)];
const text = formatCheckpoint({ origin: log.name, size: 9n, root: tree.root(9) });
const checkpoint = addSignatures(signNote(text, [log]), signatureLine(witness, text));
const leaf = leaves[4] as Buffer;

const valid: readonly string[] = [
  checkpoint,
  text,
  formatTlogProof({ index: 4, proof: inclusionProof(4, 9, tree.node), checkpoint, extra: Buffer.from("x") }),
  formatAddCheckpoint({ oldSize: 5, proof: consistencyProof(5, 9, tree.node), checkpoint }),
  log.vkey,
  witness.vkey,
  "20852163\n",
];

/** Every reader gets it: the answer, or a NoteError (reasonOf lets nothing else pass); and soon. */
function readByAll(input: Buffer): void {
  const string = input.toString("latin1");
  const start = performance.now();
  for (const from of [input, input.toString(), string]) {
    reasonOf(() => openNote(from, keys));
    reasonOf(() => openCheckpoint(from, keys));
    reasonOf(() => parseTlogProof(from));
    reasonOf(() => verifyTlogProof(from, leaf, keys));
    reasonOf(() => parseAddCheckpoint(from));
    reasonOf(() => parseTreeSize(from));
    if (typeof from !== "string") continue;
    reasonOf(() => parseCheckpoint(from));
    reasonOf(() => parseVkey(from));
    reasonOf(() => addSignatures(checkpoint, from));
  }
  expect(performance.now() - start).toBeLessThan(5000);
}

test("what is valid is read by its reader", () => {
  const [note = "", body = "", proof = "", request = "", ...rest] = valid;
  const taken = [
    () => openCheckpoint(note, keys),
    () => parseCheckpoint(body),
    () => verifyTlogProof(proof, leaf, keys),
    () => parseAddCheckpoint(request),
    () => rest.slice(0, 2).map(parseVkey),
    () => parseTreeSize(rest[2] ?? ""),
  ];
  expect(taken.map(reasonOf)).toEqual(Array(6).fill("taken"));
});

test("random bytes and characters", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: "binary" })), (input) =>
      readByAll(Buffer.from(input as string)),
    ),
    { numRuns: 2_000 },
  );
});

test("strings that are no Unicode", () => {
  const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit }), fc.constantFrom(...valid), fc.nat(), (wild, good, at) => {
      const mixed = good.slice(0, at % good.length) + wild + good.slice(at % good.length);
      for (const from of [wild, mixed]) {
        reasonOf(() => openNote(from, keys));
        reasonOf(() => parseTlogProof(from));
        reasonOf(() => parseAddCheckpoint(from));
        reasonOf(() => parseVkey(from));
        reasonOf(() => addSignatures(checkpoint, from));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("valid ones with bytes changed, cut out, put in, and lines that moved", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom("\n", "\n\n", " ", "+", "—", "=", "— a ", "\r", "index 1", "old 1", "extra ")
      .map((part) => Buffer.from(part)),
  );
  const edit = fc.record({ at: fc.nat(800), remove: fc.nat(60), insert: piece });
  fc.assert(
    fc.property(fc.constantFrom(...valid), fc.array(edit, { minLength: 1, maxLength: 5 }), (good, edits) => {
      let input = Buffer.from(good);
      for (const { at, remove, insert } of edits) {
        const from = at % (input.length + 1);
        input = Buffer.concat([input.subarray(0, from), insert, input.subarray(from + remove)]);
      }
      readByAll(input);
    }),
    { numRuns: 3_000 },
  );
});

test("a changed checkpoint is never taken for another text than the one that was signed", () => {
  const edit = fc.record({ at: fc.nat(400), remove: fc.nat(2), insert: fc.uint8Array({ maxLength: 2 }) });
  const bytes = Buffer.from(checkpoint);
  fc.assert(
    fc.property(edit, ({ at, remove, insert }) => {
      const from = at % (bytes.length + 1);
      const input = Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from + remove)]);
      let opened = text;
      reasonOf(() => {
        opened = openNote(input, keys).text;
      });
      expect(opened).toBe(text);
    }),
    { numRuns: 3_000 },
  );
});

test("inputs made to hurt", () => {
  const parts = [
    "\n",
    "\n\n",
    "— a AAAAAAA=\n",
    "a ",
    "+",
    "9",
    "A",
    "=",
    "é",
    "old 1\n",
    `${Buffer.alloc(32).toString("base64")}\n`,
  ];
  for (const part of parts) {
    for (const size of [999_000, 3_000_000]) {
      const body = part.repeat(Math.floor(size / Buffer.byteLength(part)));
      for (const before of ["", "old ", "c2sp.org/tlog-proof@v1\nindex ", `${text}\n`])
        readByAll(Buffer.from(before + body));
    }
  }
}, 60_000);

test("key files", () => {
  fc.assert(
    fc.property(fc.string(), (pem) => {
      expect(reasonOf(() => parseLogKey(pem))).toBe("bad_key");
    }),
  );
});
