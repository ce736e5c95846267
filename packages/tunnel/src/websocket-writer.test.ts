import { Buffer } from "node:buffer";
import { Writable } from "node:stream";
import { FrameType } from "@hoopish/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { WebSocketWriter } from "./websocket-writer.ts";

/** A socket that keeps what it is given: at once, or only when it is let go. */
class TestSocket extends Writable {
  readonly #given: Buffer[] = [];
  readonly #slow: boolean;
  writes = 0;
  #release: (() => void) | undefined;

  constructor(slow: boolean) {
    super({ highWaterMark: 1 << 30 });
    this.#slow = slow;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this._writev([{ chunk }], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.writes += 1;
    // A slow socket reads the memory late: if the writer used it again meanwhile, this sees the wrong bytes.
    const take = () => {
      this.#given.push(...chunks.map(({ chunk }) => Buffer.from(chunk)));
      done();
    };
    if (this.#slow) this.#release = take;
    else take();
  }

  take(): Buffer {
    while (this.#release !== undefined) {
      const release = this.#release;
      this.#release = undefined;
      release();
    }
    return Buffer.concat(this.#given);
  }
}

/** The messages in a byte stream, read as RFC 6455 section 5.2 says. */
function readMessages(bytes: Buffer, masked: boolean): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    expect(bytes[at]).toBe(0x82);
    const second = bytes[at + 1] as number;
    expect(second >= 128).toBe(masked);
    let length = second & 0x7f;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      expect(length).toBeGreaterThan(125);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      expect(length).toBeGreaterThan(65535);
      at += 8;
    }
    const key = masked ? bytes.subarray(at, at + 4) : Buffer.alloc(4);
    at += masked ? 4 : 0;
    const payload = Buffer.from(bytes.subarray(at, at + length));
    for (let i = 0; i < length; i++) payload[i] = (payload[i] as number) ^ (key[i & 3] as number);
    messages.push(payload);
    at += length;
  }
  return messages;
}

const lengths = fc.oneof(fc.nat(300), fc.nat(70_000), fc.constantFrom(0, 119, 120, 4095, 4096, 65_529, 65_530));
const frames = fc.array(fc.record({ control: fc.boolean(), length: lengths, split: fc.nat(70_000) }), {
  minLength: 1,
  maxLength: 12,
});

test.each([
  ["masked", true],
  ["unmasked", false],
])("any frames come out as the same messages: %s", (_name, masked) => {
  fc.assert(
    fc.property(fc.array(frames, { minLength: 1, maxLength: 5 }), fc.boolean(), (flushes, slow) => {
      const writer = new WebSocketWriter(masked);
      const socket = new TestSocket(slow);
      const expected: Buffer[] = [];
      let seed = 1;
      for (const flush of flushes) {
        for (const { control, length, split } of flush) {
          seed += 1;
          const bytes = Buffer.alloc(length, seed);
          if (control) {
            const message = Buffer.concat([Buffer.from([9, 0]), bytes]);
            writer.message(message);
            expected.push(message);
            continue;
          }
          writer.data(seed, 1, length);
          const cut = Math.min(split, length);
          if (cut > 0) writer.piece(bytes, 0, cut);
          if (cut < length) writer.piece(bytes, cut, length);
          expected.push(Buffer.concat([Buffer.from([FrameType.DATA, 1, 0, 0, 0, seed]), bytes]));
        }
        writer.flush(socket);
      }
      const messages = readMessages(socket.take(), masked);
      expect(messages.length).toBe(expected.length);
      expect(messages.every((message, index) => message.equals(expected[index] as Buffer))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("many small frames are one write of one buffer", () => {
  const writer = new WebSocketWriter(true);
  const socket = new TestSocket(false);
  for (let i = 0; i < 50; i++) writer.message(Buffer.alloc(100));
  writer.flush(socket);
  writer.flush(socket);
  expect(socket.writes).toBe(1);
});

test("masking keys differ from frame to frame", () => {
  const writer = new WebSocketWriter(true);
  const socket = new TestSocket(false);
  for (let i = 0; i < 3000; i++) writer.message(Buffer.alloc(4));
  writer.flush(socket);
  const bytes = socket.take();
  const keys = new Set(Array.from({ length: 3000 }, (_, i) => bytes.readUInt32BE(i * 10 + 2)));
  expect(keys.size).toBeGreaterThan(2990);
});
