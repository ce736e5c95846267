import { createHash, randomBytes } from "node:crypto";
import { constants, crc32, deflateRawSync, gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BundleError } from "./bundle-error.ts";
import { GZIP_HEADER, gunzip, gzipSeal, gzipTrailer, SealCheck } from "./gzip.ts";

const member = (content: Buffer): Buffer =>
  Buffer.concat([GZIP_HEADER, deflateRawSync(content), gzipTrailer(crc32(content), content.length)]);
const sealed = (content: Buffer): Buffer => {
  const first = member(content);
  return Buffer.concat([first, gzipSeal(createHash("sha256").update(first).digest())]);
};

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(bytes: Buffer, seal: boolean, size = 1_000): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of gunzip(cut(bytes, size), { sealed: seal })) parts.push(part);
  return Buffer.concat(parts);
}

async function refusal(bytes: Buffer, seal: boolean, size = 1_000): Promise<string> {
  try {
    await unpack(bytes, seal, size);
    return "taken";
  } catch (error) {
    return error instanceof BundleError ? error.code : `not ours: ${String(error)}`;
  }
}

const text = Buffer.from("the quick brown fox jumps over the lazy dog. ".repeat(40));

describe("gunzip", () => {
  test("unpacks what was packed, however it is cut, with the seal and without", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3_000 }),
        fc.integer({ min: 1, max: 400 }),
        fc.boolean(),
        async (bytes, size, seal) => {
          const content = Buffer.from(bytes);
          expect(await unpack(seal ? sealed(content) : member(content), seal, size)).toEqual(content);
        },
      ),
    );
    const large = Buffer.concat([randomBytes(700_000), Buffer.alloc(3_000_000, "abc")]);
    expect((await unpack(sealed(large), true, 65_536)).equals(large)).toBe(true);
  });

  test("is gzip to everybody else", () => {
    expect(gunzipSync(sealed(text))).toEqual(text);
  });

  test("takes no archive with any byte changed, and none that is cut or has more behind it", async () => {
    const good = sealed(text);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 0x01;
      expect(await refusal(bad, true), `byte ${at}`).toMatch(/^archive_/);
      expect(await refusal(good.subarray(0, at), true, 1 + (at % 90)), `cut at ${at}`).toBe("archive_truncated");
    }
    for (const more of [Buffer.of(0), Buffer.alloc(58), Buffer.alloc(200), member(text), good]) {
      for (const size of [1, 57, 58, 59, 100_000]) {
        expect(await refusal(Buffer.concat([good, more]), true, size)).toMatch(/^archive_(trailing|malformed)$/);
        expect(await refusal(Buffer.concat([member(text), more]), false, size)).toBe("archive_trailing");
      }
    }
  });

  test("takes no other packing of the same bytes under the same seal", async () => {
    const other = Buffer.concat([
      GZIP_HEADER,
      deflateRawSync(text, { strategy: constants.Z_HUFFMAN_ONLY }),
      gzipTrailer(crc32(text), text.length),
    ]);
    expect(gunzipSync(other)).toEqual(text);
    expect(await refusal(Buffer.concat([other, sealed(text).subarray(-58)]), true)).toBe("archive_malformed");
    expect(await refusal(member(text), true)).toBe("archive_truncated");
  });

  test("stops where more comes out than may", async () => {
    const read = async (): Promise<void> => {
      for await (const _ of gunzip(cut(member(Buffer.alloc(10_000_000)), 100), { sealed: false, maxBytes: 1_000_000 }));
    };
    await expect(read()).rejects.toThrow("more comes out");
  });

  test("lets the source's own error through, and ends the source when nobody reads on", async () => {
    let ended = false;
    async function* failing(): AsyncGenerator<Buffer> {
      yield sealed(text).subarray(0, 20);
      throw new Error("the disk failed");
    }
    async function* watched(): AsyncGenerator<Buffer> {
      try {
        yield* cut(sealed(randomBytes(1_000_000)), 1_000);
      } finally {
        ended = true;
      }
    }
    const read = async (): Promise<void> => {
      for await (const _ of gunzip(failing(), { sealed: true }));
    };
    await expect(read()).rejects.toThrow("the disk failed");
    for await (const _ of gunzip(watched(), { sealed: true })) break;
    expect(ended).toBe(true);
  });
});

test("a seal is seen however its archive is cut, and no other bytes are sealed", () => {
  const isSealed = (bytes: Buffer, size: number): boolean => {
    const check = new SealCheck();
    for (let at = 0; at < bytes.length; at += size) check.push(bytes.subarray(at, at + size));
    return check.sealed;
  };
  const good = sealed(text);
  for (const size of [1, 7, 57, 58, 59, good.length]) expect(isSealed(good, size)).toBe(true);
  for (let at = 0; at < good.length; at += 3) {
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
    expect(isSealed(bad, 64)).toBe(false);
    expect(isSealed(good.subarray(0, at), 64)).toBe(false);
  }
  expect(isSealed(Buffer.concat([good, Buffer.alloc(1)]), 64)).toBe(false);
});
