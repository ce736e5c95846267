import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePieces, encodePieces, openBlock, type Piece, sealBlock } from "./block.ts";

const keyOf = (text: string): KeyObject => createSecretKey(Buffer.alloc(32, text));
const KEY = keyOf("a month's key");
const PLACE = { block: 7, key: 3 };

const piece: fc.Arbitrary<Piece> = fc.record({
  callKey: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  field: fc.integer({ min: 0, max: 7 }),
  retention: fc.constant(0),
  month: fc.constant(24_310),
  atMs: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }),
    fc.string({ maxLength: 20 }).map((text) => Buffer.from(text.repeat(50))),
  ),
  salt: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined }),
});

const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString("latin1");

describe("a block of the vault", () => {
  test("gives back its pieces in their order, each with its bytes and salt", () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const back = [...decodePieces(openBlock(sealBlock(encodePieces(pieces), PLACE, KEY), PLACE, KEY))];
        expect(back.map(({ callKey, field, atMs }) => [callKey, field, atMs])).toEqual(
          pieces.map(({ callKey, field, atMs }) => [callKey, field, atMs]),
        );
        expect(back.map(({ bytes, salt }) => [text(bytes), text(salt)])).toEqual(
          pieces.map(({ bytes, salt }) => [text(bytes), text(salt)]),
        );
      }),
      { numRuns: 60 },
    );
  });

  const noise = randomBytes(200);
  const words = Buffer.from("the applicant's income ".repeat(100));

  test.each([
    ["one that is stored plain", noise],
    ["one that is compressed", words],
  ])("does not open when any bit was flipped: %s", (_, plain) => {
    const sealed = sealBlock(plain, PLACE, KEY);
    expect(sealed.length < plain.length).toBe(plain === words);
    for (let at = 0; at < sealed.length; at++) {
      const flipped = Buffer.from(sealed);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      expect(() => openBlock(flipped, PLACE, KEY), `byte ${at}`).toThrow(/block 7 of the vault/);
    }
    expect(openBlock(sealed, PLACE, KEY).equals(plain)).toBe(true);
  });

  test("does not open when it is cut or longer than it was", () => {
    const sealed = sealBlock(noise, PLACE, KEY);
    for (let length = 0; length < sealed.length; length++)
      expect(() => openBlock(sealed.subarray(0, length), PLACE, KEY)).toThrow(/block 7/);
    expect(() => openBlock(Buffer.concat([sealed, Buffer.of(0)]), PLACE, KEY)).toThrow(/block 7/);
  });

  test("does not open in another's place, or under another month's key", () => {
    const one = sealBlock(words, PLACE, KEY);
    const other = sealBlock(noise, { ...PLACE, block: 8 }, KEY);
    expect(() => openBlock(one, { ...PLACE, block: 8 }, KEY)).toThrow(/block 8/);
    expect(() => openBlock(other, PLACE, KEY)).toThrow(/block 7/);
    expect(() => openBlock(one, { ...PLACE, key: 4 }, KEY)).toThrow(/block 7/);
    expect(() => openBlock(one, PLACE, keyOf("another month's key"))).toThrow(/block 7/);
  });

  test("is never sealed twice into the same bytes", () => {
    const seen = new Set(Array.from({ length: 50 }, () => sealBlock(noise, PLACE, KEY).toString("latin1")));
    expect(seen.size).toBe(50);
  });

  test("holds nothing in the clear", () => {
    expect(sealBlock(Buffer.from("61,250"), PLACE, KEY).includes("61,250")).toBe(false);
  });
});
