import { deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decompress, encodeFrame, GrpcFrameReader, GrpcProtocolError } from "./framing.ts";

const MAX = 4_096;
const frames = (pieces: readonly Buffer[], maxMessageBytes = MAX): { flag: boolean; text: string; raw: string }[] => {
  const reader = new GrpcFrameReader({ maxMessageBytes });
  const found = pieces.flatMap((piece) => reader.push(piece));
  reader.end();
  return found.map(({ compressed, bytes, raw }) => ({
    flag: compressed,
    text: bytes.toString("hex"),
    raw: raw.toString("hex"),
  }));
};

describe("frames", () => {
  it("are the same however they were cut", () => {
    const message = fc.record({ bytes: fc.uint8Array({ maxLength: 300 }), compressed: fc.boolean() });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 })), (all, cuts) => {
        const stream = Buffer.concat(all.map(({ bytes, compressed }) => encodeFrame(Buffer.from(bytes), compressed)));
        const pieces: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts.length === 0 ? stream.length : (cuts[i % cuts.length] as number);
          pieces.push(stream.subarray(at, at + size));
          at += size;
        }
        const expected = all.map(({ bytes, compressed }) => ({
          flag: compressed,
          text: Buffer.from(bytes).toString("hex"),
          raw: encodeFrame(Buffer.from(bytes), compressed).toString("hex"),
        }));
        expect(frames(pieces)).toEqual(expected);
      }),
    );
  });

  it("of any bytes are frames or the reader's own error, and then nothing more", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (pieces) => {
        const reader = new GrpcFrameReader({ maxMessageBytes: 16 });
        let broken = false;
        for (const piece of pieces) {
          try {
            reader.push(Buffer.from(piece));
            expect(broken).toBe(false);
          } catch (error) {
            expect(error).toBeInstanceOf(GrpcProtocolError);
            broken = true;
          }
        }
      }),
    );
  });

  it.each([
    ["an unknown flag", Buffer.from([2, 0, 0, 0, 0]), /flag/],
    ["a length beyond the maximum, before any of it is there", Buffer.from([0, 0, 0, 0x10, 1]), /longer/],
    ["the largest length", Buffer.from([0, 255, 255, 255, 255]), /longer/],
  ])("refuses %s", (_, bytes, why) => {
    const reader = new GrpcFrameReader({ maxMessageBytes: MAX });
    expect(() => reader.push(bytes)).toThrow(why);
    expect(() => reader.push(Buffer.alloc(5))).toThrow(why);
    expect(() => reader.end()).toThrow(why);
  });

  it("takes a message of the maximum, and not one byte more", () => {
    expect(frames([encodeFrame(Buffer.alloc(MAX))])).toHaveLength(1);
    expect(() => frames([encodeFrame(Buffer.alloc(MAX + 1))])).toThrow(GrpcProtocolError);
  });

  it("that break off are told at the end", () => {
    for (const length of [1, 4, 5, 7]) {
      const reader = new GrpcFrameReader({ maxMessageBytes: MAX });
      reader.push(encodeFrame(Buffer.from("abc")).subarray(0, length));
      expect(() => reader.end()).toThrow(/middle/);
    }
  });

  it("that come byte by byte cost no more than their bytes", () => {
    const reader = new GrpcFrameReader({ maxMessageBytes: 2_000_000 });
    const whole = encodeFrame(Buffer.alloc(1_000_000, 7));
    const found = [];
    const start = performance.now();
    for (let at = 0; at < whole.length; at++) found.push(...reader.push(whole.subarray(at, at + 1)));
    expect(found).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe("compressed messages", () => {
  const packed = (bytes: Buffer) => ({ compressed: true, bytes, raw: bytes });

  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
  ])("%s is unpacked up to the maximum", (encoding, pack) => {
    const text = Buffer.from("x".repeat(1_000));
    expect(decompress(packed(pack(text)), encoding, 1_000)).toEqual(text);
    expect(() => decompress(packed(pack(text)), encoding, 999)).toThrow(/longer/);
    expect(() => decompress(packed(pack(text).subarray(0, 8)), encoding, 1_000)).toThrow(/decompressed/);
  });

  it("a bomb is refused before it is there", () => {
    const bomb = packed(gzipSync(Buffer.alloc(200_000_000)));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompress(bomb, "gzip", 1_000_000)).toThrow(/longer/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
  });

  it("in an encoding that was not named are refused; what is not compressed needs none", () => {
    expect(() => decompress(packed(Buffer.alloc(3)), "identity", 10)).toThrow(/unknown way/);
    expect(() => decompress(packed(Buffer.alloc(3)), "snappy", 10)).toThrow(/unknown way/);
    const bytes = Buffer.from("abc");
    expect(decompress({ compressed: false, bytes, raw: bytes }, "snappy", 10)).toBe(bytes);
  });
});
