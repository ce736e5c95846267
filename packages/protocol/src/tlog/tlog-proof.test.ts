import { describe, expect, test } from "vitest";
import { reasonOf } from "../testing/reason.ts";
import { treeOf } from "../testing/tree.ts";
import { formatCheckpoint } from "./checkpoint.ts";
import { cosigner } from "./cosignature.ts";
import { addSignatures, signatureLine, signNote } from "./note.ts";
import { ed25519Signer, newLogKey } from "./note-key.ts";
import { inclusionProof } from "./proofs.ts";
import { formatTlogProof, parseTlogProof, verifyTlogProof } from "./tlog-proof.ts";
import { parseVkey } from "./vkey.ts";

const records = Array.from({ length: 21 }, (_, i) => Buffer.from(`{"n":${i}}`));
const tree = treeOf(records);
const log = ed25519Signer("gateway.bank.example/hoopish", newLogKey());
const witness = cosigner("audit.bank.example/witness", newLogKey(), () => 1_765_432_100);
const [logKey, witnessKey] = [parseVkey(log.vkey), parseVkey(witness.vkey)];
const leafAt = (index: number): Buffer => records[index] as Buffer;

function signed(size = records.length, origin = log.name): string {
  return signNote(formatCheckpoint({ origin, size: BigInt(size), root: tree.root(size) }), [log]);
}

function proofOf(index: number, checkpoint = signed()): string {
  return formatTlogProof({ index, proof: inclusionProof(index, records.length, tree.node), checkpoint });
}

describe("verifyTlogProof", () => {
  test("every record of the log has one", () => {
    for (const [index, record] of records.entries()) {
      const { root, ...rest } = verifyTlogProof(Buffer.from(proofOf(index)), record, [logKey]);
      expect(rest).toMatchObject({ origin: log.name, index, size: 21, cosigned: [] });
      expect(root).toEqual(tree.root(21));
    }
  });

  test("another record, index, size or root: unproven, or the signature does not fit", () => {
    const text = proofOf(5);
    const verify = (proof: string, leaf = leafAt(5)): string => reasonOf(() => verifyTlogProof(proof, leaf, [logKey]));
    expect(verify(text)).toBe("taken");
    expect(verify(text, leafAt(6))).toBe("unproven");
    expect(verify(text, Buffer.concat([leafAt(5), Buffer.from(" ")]))).toBe("unproven");
    expect(verify(text.replace("index 5", "index 4"))).toBe("unproven");
    expect(verify(text.replace("index 5", "index 21"))).toBe("unproven");
    expect(verify(text.replace("\n21\n", "\n20\n"))).toBe("bad_signature");
    expect(verify(proofOf(5, signed(20)))).toBe("unproven");
    const lines = text.split("\n");
    expect(verify(lines.toSpliced(2, 1).join("\n"))).toBe("unproven");
    expect(verify(lines.toSpliced(2, 0, lines[2] ?? "").join("\n"))).toBe("unproven");
  });

  test("the log's key must have signed, a witness alone is not enough", () => {
    const text = formatCheckpoint({ origin: log.name, size: 21n, root: tree.root(21) });
    const checkpoint = signNote(text, [witness]);
    const policy = { witnesses: [witnessKey] };
    expect(reasonOf(() => verifyTlogProof(proofOf(5, checkpoint), leafAt(5), [logKey], policy))).toBe("unsigned");
  });

  test("known witnesses are named, and a bad cosignature rejects the proof", () => {
    const checkpoint = signed();
    const text = checkpoint.slice(0, checkpoint.lastIndexOf("\n\n") + 1);
    const cosigned = addSignatures(checkpoint, signatureLine(witness, text));
    const policy = { witnesses: [witnessKey] };
    const verified = verifyTlogProof(proofOf(5, cosigned), leafAt(5), [logKey], policy);
    expect(verified.signed.map(({ name }) => name)).toEqual([log.name]);
    expect(verified.cosigned.map(({ name }) => name)).toEqual([witness.name]);
    expect(verifyTlogProof(proofOf(5, cosigned), leafAt(5), [logKey]).cosigned).toEqual([]);
    const ofAnother = formatCheckpoint({ origin: log.name, size: 20n, root: tree.root(20) });
    const bad = addSignatures(checkpoint, signatureLine(witness, ofAnother));
    expect(reasonOf(() => verifyTlogProof(proofOf(5, bad), leafAt(5), [logKey], policy))).toBe("bad_signature");
  });

  test("a checkpoint of another origin is another log's, even under the same key", () => {
    const text = proofOf(5, signed(21, "gateway.bank.example/test"));
    expect(reasonOf(() => verifyTlogProof(text, leafAt(5), [logKey]))).toBe("unproven");
    const named = { origin: "gateway.bank.example/test" };
    expect(verifyTlogProof(text, leafAt(5), [logKey], named).origin).toBe(named.origin);
    expect(reasonOf(() => verifyTlogProof(proofOf(5), leafAt(5), [logKey], named))).toBe("unproven");
  });
});

describe("parseTlogProof", () => {
  test("gives back what was written", () => {
    const proof = { index: 5, proof: inclusionProof(5, 21, tree.node), checkpoint: signed() };
    expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof);
    const extra = Buffer.from("with extra data");
    expect(parseTlogProof(formatTlogProof({ ...proof, extra }))).toEqual({ ...proof, extra });
    expect(formatTlogProof({ ...proof, extra: Buffer.alloc(0) })).toBe(formatTlogProof(proof));
  });

  const good = proofOf(5);
  const hash = good.split("\n")[2] ?? "";
  test.each([
    ["nothing", ""],
    ["another version", good.replace("@v1", "@v2")],
    ["no index", good.replace("index 5\n", "")],
    ["a leading zero", good.replace("index 5", "index 05")],
    ["a negative index", good.replace("index 5", "index -1")],
    ["two spaces", good.replace("index 5", "index  5")],
    ["a space after", good.replace("index 5", "index 5 ")],
    ["two indexes", good.replace("index 5", "index 5\nindex 5")],
    ["an empty extra line", good.replace("index 5", "extra \nindex 5")],
    ["an extra line that is not base64", good.replace("index 5", "extra ?\nindex 5")],
    ["two extra lines", good.replace("index 5", "extra AA==\nextra AA==\nindex 5")],
    ["an extra line behind the index", good.replace("index 5", "index 5\nextra AA==")],
    ["a short hash", good.replace(hash, hash.slice(4))],
    ["a hash with stray bits", good.replace(hash, `${hash.slice(0, -2)}B=`)],
    ["no empty line", good.replaceAll("\n\n", "\n")],
    ["carriage returns", good.replaceAll("\n", "\r\n")],
  ])("%s: malformed", (_, text) => {
    expect(reasonOf(() => parseTlogProof(text))).toBe("malformed");
  });

  test("more hashes than a tree can have, and an index beyond counting", () => {
    expect(reasonOf(() => parseTlogProof(good.replace("index 5", `index 5${`\n${hash}`.repeat(64)}`)))).toBe(
      "too_large",
    );
    expect(reasonOf(() => parseTlogProof(good.replace("index 5", "index 9007199254740992")))).toBe("too_large");
  });
});
