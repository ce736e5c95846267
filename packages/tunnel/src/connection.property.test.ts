import { Buffer } from "node:buffer";
import { TunnelErrorCode } from "@hoopish/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { QUEUE_HIGH_BYTES, type TunnelLimits } from "./limits.ts";
import type { Stream } from "./stream.ts";
import { type End, Wire } from "./test-wire.ts";

/** Small windows and caps, so that every limit is met in a short test. */
const limits: Partial<TunnelLimits> = { minWindow: 500, maxWindow: 600_000, tunnelWindow: 1_000_000 };
const MAX_WRITE = 40_000;

/** One step of the model: `who` and `which` are taken modulo what there is. */
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("open" as const), who: fc.nat(1), end: fc.boolean() }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("write" as const), which: fc.nat(99), bytes: fc.nat(MAX_WRITE) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("headers" as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), which: fc.nat(99), trailers: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), which: fc.nat(99), gentle: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("pull" as const), who: fc.nat(1), budget: fc.nat(100_000) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver" as const), who: fc.nat(1), count: fc.nat(12) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("consume" as const), which: fc.nat(99), part: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tick" as const), ms: fc.nat(50) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One direction of one stream: what was written, and what the other side must see. */
interface Side {
  readonly end: End;
  readonly stream: Stream;
  sent: number;
  headers: number;
  mayWrite: boolean;
  ended: "no" | "end" | "trailers";
  gone: boolean;
}

/** Byte `index` of what one side of a stream sends. */
const byteAt = (id: number, own: boolean, index: number) =>
  (id * 31 + (own ? 7 : 0) + index * 13 + (index >>> 8)) & 0xff;

function bytesOf(side: Side, count: number): Buffer {
  const own = side.end.connection.table.isOwn(side.stream.id);
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = byteAt(side.stream.id, own, side.sent + i);
  return bytes;
}

class Model {
  readonly wire: Wire = new Wire(limits, limits);
  readonly sides: Side[] = [];

  constructor() {
    for (const end of [this.wire.dialler, this.wire.acceptor]) end.greedy = false;
  }

  run(action: Step): void {
    const { wire } = this;
    switch (action.do) {
      case "open": {
        const end = action.who === 0 ? wire.dialler : wire.acceptor;
        const stream = end.open({ number: this.sides.length }, { endStream: action.end });
        this.#add(end, stream).ended = action.end ? "end" : "no";
        break;
      }
      case "tick":
        wire.now += action.ms;
        for (const end of [wire.dialler, wire.acceptor]) expect(end.connection.tick()).toBe(true);
        for (const end of [wire.dialler, wire.acceptor]) end.connection.keepalive.heard();
        break;
      case "pull":
        (action.who === 0 ? wire.dialler : wire.acceptor).pull(wire.now, action.budget);
        break;
      case "deliver":
        wire.deliver(action.who === 0 ? wire.dialler : wire.acceptor, action.count);
        break;
      default:
        this.#adopt();
        if (this.sides.length > 0) this.#onSide(this.sides[action.which % this.sides.length] as Side, action);
    }
    this.check();
  }

  #onSide(side: Side, action: Extract<Step, { which: number }>): void {
    const { stream } = side;
    switch (action.do) {
      case "write": {
        if (side.ended !== "no" || side.gone) return;
        if (!side.mayWrite && side.end.recorder(stream.id).drains === 0) return;
        side.end.recorder(stream.id).drains = 0;
        const bytes = bytesOf(side, action.bytes);
        side.sent += bytes.length;
        side.mayWrite = stream.write(bytes);
        break;
      }
      case "headers":
        if (stream.sendPhase !== "headers" || side.headers > 10 || side.gone) return;
        stream.sendHeaders({ answer: side.headers });
        side.headers += 1;
        break;
      case "end":
        if (side.ended !== "no" || side.gone) return;
        side.ended = action.trailers ? "trailers" : "end";
        if (action.trailers) stream.endWithTrailers({ bytes: side.sent });
        else stream.end();
        break;
      case "reset":
        side.gone = true;
        stream.reset(action.gentle ? TunnelErrorCode.NO_ERROR : TunnelErrorCode.CANCEL);
        break;
      case "consume": {
        const recorder = side.end.recorder(stream.id);
        const bytes = Math.ceil((recorder.unconsumed * action.part) / 100);
        recorder.unconsumed -= bytes;
        stream.consumed(bytes);
        break;
      }
    }
  }

  #add(end: End, stream: Stream): Side {
    const side: Side = { end, stream, sent: 0, headers: 0, mayWrite: true, ended: "no", gone: false };
    this.sides.push(side);
    return side;
  }

  /** Streams that have arrived at the other side since. */
  #adopt(): void {
    for (const end of [this.wire.dialler, this.wire.acceptor]) {
      for (const stream of end.accepted.splice(0)) this.#add(end, stream);
    }
  }

  /** What must hold at every moment. */
  check(): void {
    for (const { stream } of this.sides) {
      expect(stream.credit).toBeGreaterThanOrEqual(0);
      expect(stream.window.credit).toBeGreaterThanOrEqual(0);
      expect(stream.queue.bytes).toBeLessThanOrEqual(QUEUE_HIGH_BYTES + MAX_WRITE);
    }
    for (const { connection } of [this.wire.dialler, this.wire.acceptor]) {
      const live = connection.table.all();
      const windows = live.reduce((sum, { window }) => sum + window.size, 0);
      expect(connection.budget.granted).toBe(windows);
      const received = live.reduce((sum, { window }) => sum + window.unconsumed, 0);
      expect(received).toBeLessThanOrEqual(windows);
      expect(windows).toBeLessThanOrEqual(1_000_000 + 500 * live.length);
    }
  }

  /** Everything that is read and consumed comes to rest, with nothing left behind. */
  finish(): void {
    // A window may have shrunk to 500 bytes, and queues hold some hundred kilobytes.
    for (let round = 0; round < 5_000; round++) {
      this.wire.settle();
      this.#adopt();
      let moved = false;
      for (const { end, stream } of this.sides) {
        const recorder = end.recorder(stream.id);
        if (recorder.unconsumed === 0) continue;
        stream.consumed(recorder.unconsumed);
        recorder.unconsumed = 0;
        moved = true;
      }
      if (!moved) break;
    }
    this.check();
    for (const side of this.sides) this.#compare(side);
    for (const { connection, events } of [this.wire.dialler, this.wire.acceptor]) {
      expect(connection.hasOutput).toBe(false);
      expect(events).toEqual([]);
    }
  }

  #compare(side: Side): void {
    const peer = this.sides.find(({ end, stream }) => end !== side.end && stream.id === side.stream.id);
    if (peer === undefined) {
      // It was refused, or reset before it was opened: then it is gone here too.
      expect(side.stream.state).toBe("closed");
      return;
    }
    const own = side.end.connection.table.isOwn(side.stream.id);
    const seen = peer.end.recorder(side.stream.id);
    const bytes = Buffer.concat(seen.chunks);
    const wrong = bytes.findIndex((byte, index) => byte !== byteAt(side.stream.id, own, index));
    expect(wrong).toBe(-1);
    const cut = side.gone || peer.gone || side.end.recorder(side.stream.id).reset !== undefined;
    if (cut) {
      expect(bytes.length).toBeLessThanOrEqual(side.sent);
      return;
    }
    expect(bytes.length).toBe(side.sent);
    // HEADERS that end a direction are its trailers, unless they are all that there is of it.
    const only = !own && side.ended === "trailers" && side.sent === 0 && side.headers === 0;
    const trailers = side.ended === "trailers" ? { bytes: side.sent } : undefined;
    const headers = Array.from({ length: side.headers }, (_, answer) => ({ answer }));
    expect(seen.headers).toEqual(only ? [trailers] : headers);
    expect(seen.trailers).toEqual(only ? undefined : trailers);
    expect(seen.ended).toBe(side.ended !== "no");
    expect(side.stream.queue.bytes).toBe(0);
  }
}

test("any interleaving of streams, any chunks, any delivery: the same bytes, headers and ends, in order", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 150, size: "max" }), (steps) => {
      const model = new Model();
      for (const action of steps) model.run(action);
      model.finish();
    }),
    { numRuns: 300 },
  );
});
