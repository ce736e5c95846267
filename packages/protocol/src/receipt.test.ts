import { describe, expect, test } from "vitest";
import { newCallId } from "./ids.ts";
import { type Receipt, verifyReceipt } from "./receipt.ts";
import { encodeRecord } from "./record.ts";
import { reasonOf } from "./testing/reason.ts";
import { formatCheckpoint } from "./tlog/checkpoint.ts";
import { leafHash, nodeHash } from "./tlog/merkle.ts";
import { signNote } from "./tlog/note.ts";
import { ed25519Signer, type NoteSigner, newLogKey } from "./tlog/note-key.ts";
import { consistencyProof, inclusionProof, type NodeReader } from "./tlog/proofs.ts";
import { formatTlogProof } from "./tlog/tlog-proof.ts";
import { parseVkey } from "./tlog/vkey.ts";

const ORIGIN = "gateway.bank.example/hoopish";
const call = newCallId();
const stamp = { id: "id", time: "2026-11-23T08:00:00.000Z", src: { replica: "r", boot: "b", n: 0 } };
const leafOf = (reason: string): string =>
  encodeRecord({ type: "call.interrupted", call, connection: "chat", delivered: 1, reason }, stamp);

/** A log of seven records. */
class Log {
  readonly signer: NoteSigner;
  readonly leaves: readonly string[];

  constructor(leaves: readonly string[], signer: NoteSigner = ed25519Signer(ORIGIN, newLogKey())) {
    this.leaves = leaves;
    this.signer = signer;
  }

  readonly node: NodeReader = (level, index) =>
    level === 0
      ? leafHash(Buffer.from(this.leaves[index] as string))
      : nodeHash(this.node(level - 1, 2 * index), this.node(level - 1, 2 * index + 1));

  /** Root of the 2^k leaves: for these sizes the node of the whole. */
  checkpoint(size: 4 | 8, origin = ORIGIN): string {
    const root = Buffer.from(this.node(Math.log2(size), 0));
    return signNote(formatCheckpoint({ origin, size: BigInt(size), root }), [this.signer]);
  }

  receipt(index: number, size: 4 | 8 = 8): Receipt {
    const proof = inclusionProof(index, size, this.node);
    return {
      v: 1,
      leaf: this.leaves[index] as string,
      proof: formatTlogProof({ index, proof, checkpoint: this.checkpoint(size) }),
      vkey: this.signer.vkey,
    };
  }
}

const log = new Log(Array.from({ length: 8 }, (_, i) => leafOf(`reason ${i}`)));
const keys = [parseVkey(log.signer.vkey)];
const refusal = (receipt: Pick<Receipt, "leaf" | "proof">, by = keys): string =>
  reasonOf(() => verifyReceipt(receipt, by));

describe("a receipt", () => {
  test("verifies with the log's key and nothing else, in any tree that has the record", () => {
    for (const size of [4, 8] as const) {
      for (let index = 0; index < size; index++) {
        const { record, ...proven } = verifyReceipt(log.receipt(index, size), keys);
        expect(proven).toMatchObject({ origin: ORIGIN, index, size });
        expect(record).toMatchObject({ type: "call.interrupted", reason: `reason ${index}` });
      }
    }
  });

  test("is of one record: another leaf, and any changed byte of its own, prove nothing", () => {
    const good = log.receipt(3);
    expect(refusal({ ...good, leaf: log.leaves[4] as string })).toBe("unproven");
    expect(refusal({ ...good, leaf: good.leaf.replace("reason 3", "reason 4") })).toBe("unproven");
    expect(refusal({ ...good, leaf: `${good.leaf}\n` })).toBe("unproven");
    expect(refusal({ ...good, leaf: `${good.leaf}\ud800` })).toBe("malformed");
  });

  test("is of one place: another index proves nothing", () => {
    const good = log.receipt(3);
    for (const index of [0, 1, 2, 4, 7, 8, 1e6]) {
      expect(refusal({ ...good, proof: good.proof.replace("index 3", `index ${index}`) })).toBe("unproven");
    }
  });

  test("needs the log's own key, not a foreign one of its name", () => {
    const foreign = new Log(log.leaves);
    expect(foreign.signer.name).toBe(log.signer.name);
    expect(refusal(foreign.receipt(3))).toBe("unsigned");
    // The copied signature of another text, under the foreign log's root.
    const other = new Log(log.leaves.map((leaf) => leaf.replace("reason", "excuse")));
    const note = (text: string, from: string): string => `${text.split("\n\n— ")[0]}\n\n— ${from.split("\n\n— ")[1]}`;
    const mixed = note(other.receipt(3).proof, log.receipt(3).proof);
    expect(refusal({ leaf: other.leaves[3] as string, proof: mixed })).toBe("bad_signature");
  });

  test("is not taken from another log's checkpoint, though the key be the same", () => {
    const proof = inclusionProof(3, 8, log.node);
    const checkpoint = log.checkpoint(8, "other.bank.example/hoopish");
    const receipt = { leaf: log.leaves[3] as string, proof: formatTlogProof({ index: 3, proof, checkpoint }) };
    expect(refusal(receipt)).toBe("unproven");
  });

  test("is whole: no hash, line or byte of the proof can be missing", () => {
    const { leaf, proof } = log.receipt(3);
    for (let end = 0; end < proof.length; end++) {
      expect(refusal({ leaf, proof: proof.slice(0, end) })).not.toBe("taken");
    }
    const lines = proof.split("\n");
    for (let at = 0; at < lines.length - 1; at++) {
      expect(refusal({ leaf, proof: lines.toSpliced(at, 1).join("\n") })).not.toBe("taken");
    }
    // A consistency proof is no inclusion proof.
    const wrong = formatTlogProof({ index: 3, proof: consistencyProof(3, 8, log.node), checkpoint: log.checkpoint(8) });
    expect(refusal({ leaf, proof: wrong })).toBe("unproven");
  });

  test("is of a record that has one reading: what the log's own key signed, and is not canonical, is not taken", () => {
    const doubled = `{"type":"call.decided",${leafOf("reason 0").slice(1)}`;
    const sly = new Log([doubled, ...log.leaves.slice(1)], log.signer);
    expect(refusal(sly.receipt(0))).toBe("malformed");
  });
});
