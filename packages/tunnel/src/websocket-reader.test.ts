import { Buffer } from "node:buffer";
import { once } from "node:events";
import { MAX_MESSAGE_BYTES } from "@hoopish/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as ws from "ws";
import { WebSocketReader } from "./websocket-reader.ts";

/** `ws` exports its receiver; its types do not know. */
interface Receiver extends NodeJS.EventEmitter {
  write(chunk: Buffer): boolean;
}
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Receiver };

function newReceiver(masked: boolean): Receiver {
  return new Receiver({ isServer: masked, maxPayload: MAX_MESSAGE_BYTES, allowSynchronousEvents: true });
}

/** What a receiver tells, up to its first mistake or a close, after which `ws` reads no more. */
function record(receiver: Receiver): { told: string[]; over: () => boolean } {
  const told: string[] = [];
  let over = false;
  const tell = (kind: string) => (data: Buffer, isBinary?: boolean) => {
    if (!over) told.push(`${kind} ${isBinary ?? ""} ${data.toString("hex")}`);
  };
  for (const kind of ["message", "ping", "pong"]) receiver.on(kind, tell(kind));
  receiver.on("conclude", (code: number) => {
    told.push(`close ${code}`);
    over = true;
  });
  receiver.on("error", (error: Error & { code?: string }) => {
    if (!over) told.push(`error ${error.code}`);
    over = true;
  });
  return { told, over: () => over };
}

/** All chunks through `ws` alone. */
async function throughReceiver(chunks: readonly Buffer[], masked: boolean): Promise<string[]> {
  const receiver = newReceiver(masked);
  const { told, over } = record(receiver);
  for (const chunk of chunks) {
    if (over()) break;
    receiver.write(Buffer.from(chunk));
    // A receiver tells of a mistake in the next tick, and is given no more by then.
    await new Promise(setImmediate);
  }
  return told;
}

/** All chunks through the reader, with `ws` behind it. */
async function throughReader(chunks: readonly Buffer[], masked: boolean): Promise<string[]> {
  const receiver = newReceiver(masked);
  const { told, over } = record(receiver);
  let left = false;
  const reader = new WebSocketReader(masked, {
    message: (payload) => told.push(`message true ${payload.toString("hex")}`),
    control: (frame) => receiver.write(frame),
    other: (bytes) => {
      expect(left).toBe(false);
      left = true;
      receiver.write(bytes);
    },
  });
  for (const chunk of chunks) {
    if (over()) break;
    if (left) receiver.write(Buffer.from(chunk));
    else reader.push(Buffer.from(chunk));
    await new Promise(setImmediate);
  }
  return told;
}

interface FrameShape {
  readonly first: number;
  readonly masked: boolean;
  readonly lengthForm: "short" | "long" | "longest";
  readonly payload: Uint8Array;
  readonly mask: Uint8Array;
}

function bytesOf({ first, masked, lengthForm, payload, mask }: FrameShape): Buffer {
  const { length } = payload;
  const form = lengthForm === "short" && length > 125 ? "long" : lengthForm;
  const head = Buffer.alloc(form === "short" ? 2 : form === "long" ? 4 : 10);
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (form === "short" ? length : form === "long" ? 126 : 127);
  if (form === "long") head.writeUInt16BE(length, 2);
  if (form === "longest") head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ (mask[at & 3] as number))]);
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...edges]
    .map((from, index) => bytes.subarray(from, edges[index] ?? bytes.length))
    .filter((c) => c.length > 0);
}

const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
const frame = (masked: boolean, first: fc.Arbitrary<number>) =>
  fc.record({
    first,
    masked: fc.constant(masked),
    lengthForm: fc.constantFrom("short" as const, "long" as const, "longest" as const),
    payload: fc.uint8Array({ maxLength: 300 }),
    mask,
  });
const plain = (masked: boolean) =>
  fc.oneof(
    { weight: 5, arbitrary: frame(masked, fc.constant(0x82)) },
    {
      weight: 2,
      arbitrary: frame(masked, fc.constantFrom(0x89, 0x8a)).map((shape) => ({
        ...shape,
        lengthForm: "short" as const,
        payload: shape.payload.subarray(0, 125),
      })),
    },
  );
/** Whatever a peer may send: fragments, text, closes, reserved bits and opcodes, the other side's mask. */
const anything = fc.oneof(
  plain(true),
  plain(false),
  frame(true, fc.integer({ min: 0, max: 255 })),
  frame(true, fc.constantFrom(0x02, 0x00, 0x80, 0x81, 0x88)),
);

describe("WebSocketReader", () => {
  test.each([true, false])("tells what ws would tell, of plain frames in any chunks (masked: %s)", async (masked) => {
    const frames = fc.array(plain(masked), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 12 }), async (shapes, cuts) => {
        const chunks = cut(Buffer.concat(shapes.map(bytesOf)), cuts);
        expect(await throughReader(chunks, masked)).toEqual(await throughReceiver(chunks, masked));
      }),
      { numRuns: 300 },
    );
  });

  test("tells what ws would tell, of any frames and any bytes in any chunks", async () => {
    const bytes = fc.oneof(
      fc
        .array(fc.oneof({ weight: 4, arbitrary: plain(true) }, anything), { maxLength: 10 })
        .map((shapes) => Buffer.concat(shapes.map(bytesOf))),
      fc.uint8Array({ maxLength: 400 }).map((raw) => Buffer.from(raw)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.array(fc.nat(), { maxLength: 12 }), async (all, cuts) => {
        const chunks = cut(all, cuts);
        expect(await throughReader(chunks, true)).toEqual(await throughReceiver(chunks, true));
      }),
      { numRuns: 600 },
    );
  });

  test("leaves a message over the limit to ws, before its bytes are there", async () => {
    const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 7, 1, 2, 3, 4]);
    expect(head.readUInt32BE(6)).toBe(MAX_MESSAGE_BYTES + 1);
    let left: Buffer = Buffer.alloc(0);
    const reader = new WebSocketReader(true, {
      message: () => expect.unreachable(),
      control: () => expect.unreachable(),
      other: (bytes) => {
        left = bytes;
      },
    });
    reader.push(head);
    expect(left).toEqual(head);
    const receiver = newReceiver(true);
    const failed = once(receiver, "error");
    receiver.write(left);
    expect((await failed)[0]).toMatchObject({ code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" });
  });

  test("takes the largest message whole, in one chunk and byte for byte", () => {
    const payload = Buffer.from(Uint8Array.from({ length: MAX_MESSAGE_BYTES }, (_, at) => at * 7));
    const frameBytes = bytesOf({
      first: 0x82,
      masked: true,
      lengthForm: "longest",
      payload,
      mask: Uint8Array.from([1, 2, 3, 4]),
    });
    for (const step of [frameBytes.length, 1, 1009]) {
      const got: Buffer[] = [];
      const reader = new WebSocketReader(true, {
        message: (message) => got.push(message),
        control: () => expect.unreachable(),
        other: () => expect.unreachable(),
      });
      for (let at = 0; at < frameBytes.length; at += step) reader.push(Buffer.from(frameBytes.subarray(at, at + step)));
      expect(got).toHaveLength(1);
      expect(got[0]?.equals(payload)).toBe(true);
    }
  });
});
