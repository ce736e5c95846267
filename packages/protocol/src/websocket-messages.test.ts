import fc from "fast-check";
import { expect, it } from "vitest";
import {
  BINARY,
  CLOSE,
  decodeClose,
  encodeClose,
  encodeWebSocketMessage,
  TEXT,
  type WebSocketMessage,
  WebSocketMessageReader,
} from "./websocket-messages.ts";

it("gives the same messages however they were cut", () => {
  const message = fc.record({ kind: fc.constantFrom(TEXT, BINARY, CLOSE), data: fc.uint8Array({ maxLength: 300 }) });
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(message), cuts, (messages, sizes) => {
      const bytes = Buffer.concat(messages.map(({ kind, data }) => encodeWebSocketMessage(kind, Buffer.from(data))));
      const reader = new WebSocketMessageReader(1_000);
      const seen: WebSocketMessage[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const to = at + (sizes[turn % sizes.length] as number);
        seen.push(...reader.push(bytes.subarray(at, to)));
        at = to;
      }
      expect(seen.map(({ kind, data }) => [kind, data.toString("hex")])).toEqual(
        messages.map(({ kind, data }) => [kind, Buffer.from(data).toString("hex")]),
      );
      expect(reader.held).toBe(0);
    }),
  );
});

it("takes no other kinds, and nothing too long, ever after", () => {
  for (const bytes of [Buffer.from([3, 0, 0, 0, 0]), Buffer.from([1, 0, 0, 0, 11])]) {
    const reader = new WebSocketMessageReader(10);
    expect(() => reader.push(bytes)).toThrow(RangeError);
    expect(() => reader.push(encodeWebSocketMessage(TEXT, Buffer.from("x")))).toThrow(RangeError);
  }
});

it("keeps a close's code and reason", () => {
  expect(decodeClose(encodeClose(1008, "no").subarray(5))).toEqual({ code: 1008, reason: "no" });
  expect(decodeClose(Buffer.alloc(0))).toEqual({ code: 1005, reason: "" });
  expect(encodeClose(1008, "é".repeat(200)).length).toBeLessThanOrEqual(5 + 2 + 123);
});
