import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Committer, SALT_BYTES, verifyCommitment } from "./commitment.ts";

describe("Committer", () => {
  test("is HMAC-SHA-256 (RFC 4231, test case 2)", () => {
    const committer = new Committer(Buffer.from("Jefe"));
    committer.update(Buffer.from("what do ya want for nothing?"));
    const { c, len } = committer.finish();
    expect(Buffer.from(c, "base64").toString("hex")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    expect(len).toBe(28);
  });

  test("equals node:crypto's HMAC for any salt, also longer than a block, any bytes, cut anywhere", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.array(bytes, { maxLength: 5 }), (salt, pieces) => {
        const committer = new Committer(Buffer.from(salt));
        for (const piece of pieces) committer.update(piece);
        const expected = createHmac("sha256", salt).update(Buffer.concat(pieces)).digest("base64");
        expect(committer.finish()).toEqual({ c: expected, len: Buffer.concat(pieces).length });
      }),
    );
  });

  test("draws a salt of its own for every payload, and keeps no copy", () => {
    const committers = Array.from({ length: 1_000 }, () => new Committer());
    expect(new Set(committers.map(({ salt }) => salt.toString("hex"))).size).toBe(1_000);
    expect(committers.every(({ salt }) => salt.length === SALT_BYTES)).toBe(true);
  });

  test("may be finished once", () => {
    const committer = new Committer();
    committer.finish();
    expect(() => committer.finish()).toThrow();
  });
});

describe("verifyCommitment", () => {
  const bytes = Buffer.from("who may borrow?");
  const committer = new Committer();
  committer.update(bytes);
  const commitment = committer.finish();
  const { salt } = committer;

  test("holds for the bytes and salt that were committed to", () => {
    expect(verifyCommitment(commitment, salt, bytes)).toBe(true);
  });

  test.each([
    ["other bytes", commitment, salt, Buffer.from("who may borrow!")],
    ["fewer bytes", commitment, salt, bytes.subarray(1)],
    ["another salt", commitment, Buffer.alloc(SALT_BYTES), bytes],
    ["another length", { ...commitment, len: commitment.len + 1 }, salt, bytes],
    ["a shortened commitment", { ...commitment, c: commitment.c.slice(0, 20) }, salt, bytes],
    ["no commitment", { ...commitment, c: "" }, salt, bytes],
  ])("does not hold for %s", (_, given, withSalt, of) => {
    expect(verifyCommitment(given, withSalt, of)).toBe(false);
  });
});
