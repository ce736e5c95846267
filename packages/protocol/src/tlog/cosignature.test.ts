import { createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openssl } from "../testing/openssl.ts";
import { reasonOf } from "../testing/reason.ts";
import { formatCheckpoint } from "./checkpoint.ts";
import { cosignatureTime, cosigner } from "./cosignature.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { addSignatures, openNote, signatureLine, signNote } from "./note.ts";
import { ed25519Signer, newLogKey } from "./note-key.ts";
import { parseVkey } from "./vkey.ts";

const log = ed25519Signer("log.example", newLogKey());
const key = newLogKey();
const NOW = 1_765_432_100;
const witness = cosigner("audit.example/w1", key, () => NOW + 0.9);
const text = formatCheckpoint({ origin: "log.example", size: 7n, root: EMPTY_ROOT, extensions: ["more"] });
const note = addSignatures(signNote(text, [log]), signatureLine(witness, text));
const keys = [parseVkey(log.vkey), parseVkey(witness.vkey)];

describe("a cosignature", () => {
  test("verifies through the witness's vkey and tells its time", () => {
    const { verified, unknown } = openNote(note, keys);
    expect(verified.map(({ name }) => name)).toEqual(["log.example", "audit.example/w1"]);
    expect(unknown).toBe(0);
    expect(cosignatureTime(verified[1]?.signature ?? Buffer.alloc(0))).toBe(BigInt(NOW));
    expect(cosignatureTime(verified[0]?.signature ?? Buffer.alloc(0))).toBeUndefined();
  });

  test("is openssl's Ed25519 over the message that C2SP writes down", () => {
    const signature = openNote(note, keys).verified[1]?.signature ?? Buffer.alloc(0);
    const pem = createPublicKey(key).export({ type: "spki", format: "pem" });
    const message = `cosignature/v1\ntime ${NOW}\nlog.example\n7\n${EMPTY_ROOT.toString("base64")}\nmore\n`;
    const printed = openssl(
      ["pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "message", "-sigfile", "sig"],
      { "pub.pem": pem, message, sig: signature.subarray(8) },
    );
    expect(printed.toString()).toContain("Verified Successfully");
  });

  test("with another time is none", () => {
    const [, line = ""] = note.split("\n\n")[1]?.split("\n") ?? [];
    const bytes = Buffer.from(line.split(" ")[2] ?? "", "base64");
    for (const at of [4, 11]) {
      const later = Buffer.from(bytes);
      later[at] = (later[at] as number) ^ 0x80;
      expect(reasonOf(() => openNote(note.replace(bytes.toString("base64"), later.toString("base64")), keys))).toBe(
        "bad_signature",
      );
    }
  });

  test("and a note signature by the same key and name do not pass for each other", () => {
    const plain = ed25519Signer(witness.name, key);
    expect(plain.keyId).not.toEqual(witness.keyId);
    const moved = (from: string): string =>
      `${text}\n— ${witness.name} ${Buffer.concat([witness.keyId, Buffer.from(from, "base64").subarray(4)]).toString("base64")}\n`;
    const plainLine = signatureLine(plain, text).split(" ")[2] ?? "";
    expect(reasonOf(() => openNote(moved(plainLine), keys))).toBe("bad_signature");
    expect(reasonOf(() => openNote(signNote(text, [plain]), keys))).toBe("unsigned");
  });

  test("is given to checkpoints only", () => {
    expect(reasonOf(() => signatureLine(witness, "good morning\n"))).toBe("malformed");
  });
});
