import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeFrame,
  encodeFrame,
  encodeGoaway,
  encodeHeaders,
  encodeRstStream,
  type Frame,
  FrameType,
  MAX_DATA_BYTES,
  MAX_HEADERS_BYTES,
  MAX_REASON_BYTES,
  MAX_STREAM_ID,
  MAX_WINDOW,
  RemoteProtocolError,
  TunnelErrorCode,
} from "./frames.ts";

const { DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE } = FrameType;

/** The bytes of every frame, written by hand: a change here is a change of the protocol. */
const goldens: [string, Frame, string][] = [
  ["DATA", { type: DATA, streamId: 1, endStream: false, payload: Buffer.from("hi") }, "00 00 00000001 6869"],
  ["DATA, end", { type: DATA, streamId: 0x01020304, endStream: true, payload: Buffer.alloc(0) }, "00 01 01020304"],
  ["HEADERS", { type: HEADERS, streamId: 3, endStream: false, headers: { a: 1 } }, "01 00 00000003 7b2261223a317d"],
  ["HEADERS, end", { type: HEADERS, streamId: 2, endStream: true, headers: {} }, "01 01 00000002 7b7d"],
  ["RST_STREAM", { type: RST_STREAM, streamId: 5, code: TunnelErrorCode.CANCEL }, "03 00 00000005 00000008"],
  [
    "RST_STREAM, reason",
    { type: RST_STREAM, streamId: 5, code: TunnelErrorCode.REFUSED_STREAM, reason: "no" },
    "03 00 00000005 00000007 7b22726561736f6e223a226e6f227d",
  ],
  [
    "SETTINGS",
    {
      type: SETTINGS,
      ack: false,
      settings: { version: 1, maxConcurrentStreams: 128, initialWindowSize: 262144, maxFrameSize: 65536 },
    },
    "04 00 00000000 ff0000000001 000300000080 000400040000 000500010000",
  ],
  ["SETTINGS ACK", { type: SETTINGS, ack: true, settings: {} }, "04 01 00000000"],
  ["PING", { type: PING, ack: false, opaque: 0x0102030405060708n }, "06 00 00000000 0102030405060708"],
  ["PING ACK", { type: PING, ack: true, opaque: 1n }, "06 01 00000000 0000000000000001"],
  [
    "GOAWAY",
    { type: GOAWAY, lastStreamId: 9, code: TunnelErrorCode.ENHANCE_YOUR_CALM, debug: "slow" },
    "07 00 00000000 00000009 0000000b 736c6f77",
  ],
  ["WINDOW_UPDATE", { type: WINDOW_UPDATE, streamId: 7, increment: 131072 }, "08 00 00000007 00020000"],
];

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

test.each(goldens)("%s has these bytes", (_name, frame, bytes) => {
  expect(encodeFrame(frame).toString("hex")).toBe(hex(bytes).toString("hex"));
  expect(decodeFrame(hex(bytes))).toEqual(frame);
});

/** What a peer may not send, and what the GOAWAY then says. */
const broken: [string, string, TunnelErrorCode][] = [
  ["nothing", "", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["half a head", "00 00 000000", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["DATA on stream 0", "00 00 00000000 61", TunnelErrorCode.PROTOCOL_ERROR],
  ["DATA on a 32-bit stream id", "00 00 80000001 61", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS on stream 0", "01 00 00000000 7b7d", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS without JSON", "01 00 00000001", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS with half an object", "01 00 00000001 7b", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS that are a list", "01 00 00000001 5b5d", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS that are null", "01 00 00000001 6e756c6c", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS that are a number", "01 00 00000001 31", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS in invalid UTF-8", "01 00 00000001 7b2261223a22ff227d", TunnelErrorCode.PROTOCOL_ERROR],
  ["HEADERS with a byte order mark", "01 00 00000001 efbbbf7b7d", TunnelErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM on stream 0", "03 00 00000000 00000008", TunnelErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM of 3 bytes", "03 00 00000001 000000", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["RST_STREAM with a reason that is not JSON", "03 00 00000001 00000008 6e6f", TunnelErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM with JSON that is no reason", "03 00 00000001 00000008 7b7d", TunnelErrorCode.PROTOCOL_ERROR],
  ["SETTINGS on a stream", "04 00 00000001", TunnelErrorCode.PROTOCOL_ERROR],
  ["SETTINGS of 5 bytes", "04 00 00000000 0003000000", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["SETTINGS ACK with a payload", "04 01 00000000 000300000001", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["SETTINGS of nine entries", `04 00 00000000 ${"000300000001".repeat(9)}`, TunnelErrorCode.FRAME_SIZE_ERROR],
  ["SETTINGS with version 0", "04 00 00000000 ff0000000000", TunnelErrorCode.PROTOCOL_ERROR],
  ["SETTINGS with a window over 2^31 - 1", "04 00 00000000 000480000000", TunnelErrorCode.FLOW_CONTROL_ERROR],
  ["SETTINGS with a frame under 16 KiB", "04 00 00000000 000500003fff", TunnelErrorCode.PROTOCOL_ERROR],
  ["SETTINGS with a frame over 64 KiB", "04 00 00000000 000500010001", TunnelErrorCode.PROTOCOL_ERROR],
  ["PING on a stream", "06 00 00000001 0000000000000001", TunnelErrorCode.PROTOCOL_ERROR],
  ["PING of 7 bytes", "06 00 00000000 00000000000001", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["GOAWAY on a stream", "07 00 00000001 00000000 00000000", TunnelErrorCode.PROTOCOL_ERROR],
  ["GOAWAY of 7 bytes", "07 00 00000000 00000000 000000", TunnelErrorCode.FRAME_SIZE_ERROR],
  ["GOAWAY with a 32-bit stream id", "07 00 00000000 80000000 00000000", TunnelErrorCode.PROTOCOL_ERROR],
  ["GOAWAY in invalid UTF-8", "07 00 00000000 00000000 00000000 ff", TunnelErrorCode.PROTOCOL_ERROR],
  ["WINDOW_UPDATE of the tunnel", "08 00 00000000 00000001", TunnelErrorCode.PROTOCOL_ERROR],
  ["WINDOW_UPDATE of 0", "08 00 00000001 00000000", TunnelErrorCode.PROTOCOL_ERROR],
  ["WINDOW_UPDATE of 2^31", "08 00 00000001 80000000", TunnelErrorCode.PROTOCOL_ERROR],
  ["WINDOW_UPDATE of 5 bytes", "08 00 00000001 0000000100", TunnelErrorCode.FRAME_SIZE_ERROR],
];

test.each(broken)("%s is an error of the peer", (_name, bytes, code) => {
  expect(() => decodeFrame(hex(bytes))).toThrowError(expect.objectContaining({ name: "RemoteProtocolError", code }));
});

describe("lengths", () => {
  const head = (type: number, streamId = 1) => Buffer.from([type, 0, 0, 0, 0, streamId]);
  const oversize: [string, Buffer][] = [
    ["DATA", Buffer.concat([head(DATA), Buffer.alloc(MAX_DATA_BYTES + 1)])],
    ["HEADERS", Buffer.concat([head(HEADERS), Buffer.alloc(MAX_HEADERS_BYTES + 1, 0x20)])],
    ["RST_STREAM", Buffer.concat([head(RST_STREAM), Buffer.alloc(4 + MAX_REASON_BYTES + 1, 0x20)])],
    ["GOAWAY", Buffer.concat([head(GOAWAY, 0), Buffer.alloc(8 + MAX_REASON_BYTES + 1, 0x20)])],
  ];
  test.each(oversize)("%s over its limit is an error", (_name, message) => {
    const error = expect.objectContaining({ code: TunnelErrorCode.FRAME_SIZE_ERROR });
    expect(() => decodeFrame(message)).toThrowError(error);
  });

  test("the longest DATA and HEADERS pass", () => {
    const data: Frame = { type: DATA, streamId: 1, endStream: false, payload: Buffer.alloc(MAX_DATA_BYTES, 7) };
    expect(decodeFrame(encodeFrame(data))).toEqual(data);
    const headers = { a: "x".repeat(MAX_HEADERS_BYTES - '{"a":""}'.length) };
    expect(decodeFrame(encodeHeaders(1, headers, false))).toMatchObject({ headers });
  });

  test("headers over the limit are the caller's fault, not the peer's", () => {
    expect(() => encodeHeaders(1, { a: "é".repeat(MAX_HEADERS_BYTES / 2) }, false)).toThrow(RangeError);
    expect(() => encodeHeaders(1, [], false)).toThrow(TypeError);
    const frame: Frame = { type: DATA, streamId: 1, endStream: false, payload: Buffer.alloc(MAX_DATA_BYTES + 1) };
    expect(() => encodeFrame(frame)).toThrow(RangeError);
  });

  test("reasons and debug texts are cut to what the wire allows, whatever they are made of", () => {
    const text = fc.oneof(fc.string({ unit: "binary", maxLength: 3000 }), fc.constant("\u0000".repeat(2000)));
    fc.assert(
      fc.property(text, (reason) => {
        const reset = decodeFrame(encodeRstStream(1, TunnelErrorCode.CANCEL, reason));
        const goaway = decodeFrame(encodeGoaway(1, TunnelErrorCode.NO_ERROR, reason));
        expect(reset).toMatchObject({ reason: expect.any(String) });
        expect(goaway).toMatchObject({ debug: expect.any(String) });
      }),
    );
  });
});

test("frames of unknown types are discarded, and unknown flags and settings ignored", () => {
  expect(decodeFrame(hex("02 00 00000001 00"))).toBeUndefined();
  expect(decodeFrame(hex("ff ff ffffffff"))).toBeUndefined();
  expect(decodeFrame(hex("00 fe 00000001 61"))).toMatchObject({ endStream: false });
  expect(decodeFrame(hex("04 00 00000000 abcd00000001"))).toMatchObject({ settings: {} });
});

test("an unknown error code is read as INTERNAL_ERROR", () => {
  const message = hex("03 00 00000001 deadbeef");
  expect(decodeFrame(message)).toMatchObject({ code: TunnelErrorCode.INTERNAL_ERROR });
});

test("the payload of DATA is a view of the message, not a copy", () => {
  const message = hex("00 00 00000001 616263");
  const frame = decodeFrame(message);
  expect(frame?.type === DATA && frame.payload.buffer === message.buffer).toBe(true);
});

test("an error tells what was wrong and not what was sent", () => {
  const message = Buffer.concat([Buffer.from([HEADERS, 0, 0, 0, 0, 1]), Buffer.from('{"password": hunter2')]);
  expect(() => decodeFrame(message)).toThrowError(expect.not.objectContaining({ message: /hunter2/ }));
  expect(() => decodeFrame(message)).toThrow(RemoteProtocolError);
});

test("what is encoded is decoded to the same", () => {
  const streamId = fc.integer({ min: 1, max: MAX_STREAM_ID });
  const code = fc.constantFrom(...Object.values(TunnelErrorCode));
  const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const text = fc.string({ unit: "grapheme", maxLength: 60 });
  const frames: fc.Arbitrary<Frame> = fc.oneof(
    fc.record({
      type: fc.constant(DATA),
      streamId,
      endStream: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
    }),
    fc.record({
      type: fc.constant(HEADERS),
      streamId,
      endStream: fc.boolean(),
      headers: fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.parse(JSON.stringify(value))),
    }),
    fc.record({ type: fc.constant(RST_STREAM), streamId, code }),
    fc.record({ type: fc.constant(RST_STREAM), streamId, code, reason: text }),
    fc.record({
      type: fc.constant(SETTINGS),
      ack: fc.constant(false),
      settings: fc.record(
        {
          version: fc.integer({ min: 1, max: 0xffff_ffff }),
          maxConcurrentStreams: uint32,
          initialWindowSize: fc.integer({ min: 0, max: MAX_WINDOW }),
          maxFrameSize: fc.integer({ min: 16_384, max: MAX_DATA_BYTES }),
        },
        { requiredKeys: [] },
      ),
    }),
    fc.record({ type: fc.constant(PING), ack: fc.boolean(), opaque: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
    fc.record({
      type: fc.constant(GOAWAY),
      lastStreamId: fc.integer({ min: 0, max: MAX_STREAM_ID }),
      code,
      debug: text,
    }),
    fc.record({ type: fc.constant(WINDOW_UPDATE), streamId, increment: fc.integer({ min: 1, max: MAX_WINDOW }) }),
  );
  fc.assert(
    fc.property(frames, (frame) => {
      expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
    }),
    { numRuns: 1000 },
  );
});
