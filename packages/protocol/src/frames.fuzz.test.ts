import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeFrame,
  encodeGoaway,
  encodeHeaders,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  FrameType,
  MAX_HEADERS_BYTES,
  RemoteProtocolError,
  TunnelErrorCode,
} from "./frames.ts";

/** Whatever the bytes: a frame, nothing, or an error of the peer; and soon. */
function decodes(message: Buffer): void {
  const start = performance.now();
  try {
    const frame = decodeFrame(message);
    if (frame !== undefined) expect(Object.values(FrameType)).toContain(frame.type);
  } catch (error) {
    expect(error).toBeInstanceOf(RemoteProtocolError);
  }
  expect(performance.now() - start).toBeLessThan(1000);
}

const valid: Buffer[] = [
  encodeHeaders(1, { method: "POST", path: "/v1/chat/completions", headers: [["accept", "*/*"]], ключ: "値" }, false),
  encodeRstStream(3, TunnelErrorCode.CANCEL, "the client has gone"),
  encodeSettings({ version: 1, maxConcurrentStreams: 100, initialWindowSize: 262144, maxFrameSize: 16384 }),
  encodePing(42n, false),
  encodeGoaway(7, TunnelErrorCode.NO_ERROR, "draining"),
  encodeWindowUpdate(1, 65536),
  Buffer.from([FrameType.DATA, 1, 0, 0, 0, 1, 0x61, 0x62]),
];

test("random bytes", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(bytes, (message) => decodes(Buffer.from(message))),
    { numRuns: 20_000 },
  );
});

test("random payloads behind a head that is right", () => {
  const type = fc.constantFrom(...Object.values(FrameType));
  const payload = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(type, fc.nat(255), fc.nat(3), payload, (frameType, flags, streamId, bytes) =>
      decodes(Buffer.concat([Buffer.from([frameType, flags, 0, 0, 0, streamId]), bytes])),
    ),
    { numRuns: 20_000 },
  );
});

test("valid frames with bytes changed, cut out and put in", () => {
  const edit = fc.record({ at: fc.nat(400), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  fc.assert(
    fc.property(fc.constantFrom(...valid), fc.array(edit, { minLength: 1, maxLength: 6 }), (frame, edits) => {
      let message = frame;
      for (const { at, remove, insert } of edits) {
        const from = at % (message.length + 1);
        message = Buffer.concat([message.subarray(0, from), insert, message.subarray(from + remove)]);
      }
      decodes(message);
    }),
    { numRuns: 20_000 },
  );
});

test("JSON made to hurt", () => {
  const bodies = [
    "[".repeat(MAX_HEADERS_BYTES),
    '{"a":'.repeat(MAX_HEADERS_BYTES / 5),
    `${'{"a":'.repeat(9000)}1${"}".repeat(9000)}`,
    `{"a":${"9".repeat(60_000)}}`,
    `{"a":"${"\\u0000".repeat(10_000)}"}`,
    `{${Array.from({ length: 6000 }, (_, i) => `"${i}":0`).join(",")}}`,
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  ];
  for (const body of bodies)
    decodes(Buffer.concat([Buffer.from([FrameType.HEADERS, 0, 0, 0, 0, 1]), Buffer.from(body)]));
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});
