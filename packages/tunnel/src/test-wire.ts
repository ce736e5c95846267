/** For tests: an end of a tunnel without I/O, and a wire between two of them that delivers when told to. */
import { Buffer } from "node:buffer";
import { decodeFrame, encodeFrame, type Frame, type FrameHeaders, FrameType } from "@hoopish/protocol";
import type { FrameSink, StreamHandler, TunnelStream } from "./api.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import type { StreamResetError } from "./errors.ts";
import { ACCEPTOR_LIMITS, type TunnelLimits } from "./limits.ts";
import type { Stream } from "./stream.ts";

/** Collects frames as the messages that a peer would get. */
export class MessageSink implements FrameSink {
  messages: Buffer[] = [];
  #parts: Buffer[] = [];
  #left = 0;
  #flags = 0;
  #streamId = 0;

  message(frame: Buffer): void {
    this.messages.push(frame);
  }

  data(streamId: number, flags: number, length: number): void {
    this.#streamId = streamId;
    this.#flags = flags;
    this.#left = length;
    this.#parts = [];
    if (length === 0) this.#finish();
  }

  piece(chunk: Buffer, start: number, end: number): void {
    this.#parts.push(chunk.subarray(start, end));
    this.#left -= end - start;
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    const payload = Buffer.concat(this.#parts);
    const endStream = this.#flags === 1;
    this.messages.push(encodeFrame({ type: FrameType.DATA, streamId: this.#streamId, endStream, payload }));
  }
}

/** What one end has seen of one stream. */
export class Recorder implements StreamHandler {
  readonly headers: FrameHeaders[] = [];
  readonly chunks: Buffer[] = [];
  bytes = 0;
  unconsumed = 0;
  ended = false;
  trailers: FrameHeaders | undefined;
  reset: StreamResetError | undefined;
  drains = 0;
  /** Returns credit as data comes. */
  readonly greedy: boolean;

  constructor(greedy = false) {
    this.greedy = greedy;
  }

  onHeaders(headers: FrameHeaders): void {
    this.headers.push(headers);
  }

  onData(chunk: Buffer, stream: TunnelStream): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.greedy) stream.consumed(chunk.length);
    else this.unconsumed += chunk.length;
  }

  onEnd(trailers: FrameHeaders | undefined): void {
    if (this.ended || this.reset !== undefined) throw new Error("an end after the end");
    this.ended = true;
    this.trailers = trailers;
  }

  onReset(error: StreamResetError): void {
    if (this.reset !== undefined) throw new Error("a second reset");
    this.reset = error;
  }

  onDrain(): void {
    this.drains += 1;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

export class End {
  readonly connection: Connection;
  readonly recorders: Map<number, Recorder> = new Map();
  readonly accepted: Stream[] = [];
  readonly events: string[] = [];
  /** Messages pulled and not yet delivered. */
  readonly sink: MessageSink = new MessageSink();
  greedy = true;

  constructor(
    role: "dialler" | "acceptor",
    limits: Partial<TunnelLimits> = {},
    events: Partial<ConnectionEvents> = {},
  ) {
    this.connection = new Connection(
      role,
      { ...ACCEPTOR_LIMITS, ...limits },
      {
        onStream: (stream) => {
          this.accepted.push(stream);
          stream.handler = this.recorder(stream.id);
        },
        onDraining: (debug) => this.events.push(`draining ${debug}`),
        onDrained: () => this.events.push("drained"),
        onOutput: () => {},
        onHandlerError: (error) => this.events.push(`handler: ${(error as Error).message}`),
        ...events,
      },
    );
  }

  recorder(id: number): Recorder {
    let recorder = this.recorders.get(id);
    if (recorder === undefined) {
      recorder = new Recorder(this.greedy);
      this.recorders.set(id, recorder);
    }
    return recorder;
  }

  open(headers: object = {}, options?: { endStream?: boolean; body?: Uint8Array }): Stream {
    const stream = this.connection.open(headers, undefined, options);
    stream.handler = this.recorder(stream.id);
    return stream;
  }

  pull(now = 0, budget: number = Number.POSITIVE_INFINITY): void {
    this.connection.pull(this.sink, now, budget);
  }

  /** What goes out now, decoded. */
  sent(now = 0): Frame[] {
    this.pull(now);
    return this.sink.messages.splice(0).map((message) => decodeFrame(message) as Frame);
  }

  receive(frame: Frame, now = 0): void {
    this.connection.receive(encodeFrame(frame), now);
  }
}

export class Wire {
  readonly dialler: End;
  readonly acceptor: End;
  now = 0;

  constructor(dialler: Partial<TunnelLimits> = {}, acceptor: Partial<TunnelLimits> = {}) {
    this.dialler = new End("dialler", dialler);
    this.acceptor = new End("acceptor", acceptor);
  }

  peerOf(end: End): End {
    return end === this.dialler ? this.acceptor : this.dialler;
  }

  /** Delivers up to `count` messages of an end to the other. */
  deliver(from: End, count: number = Number.POSITIVE_INFINITY): void {
    const messages = from.sink.messages.splice(0, count);
    for (const message of messages) this.peerOf(from).connection.receive(message, this.now);
  }

  /** Until nothing moves any more. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      this.now += 1;
      for (const end of [this.dialler, this.acceptor]) end.pull(this.now);
      if (this.dialler.sink.messages.length + this.acceptor.sink.messages.length === 0) return;
      for (const end of [this.dialler, this.acceptor]) this.deliver(end);
    }
    throw new Error("the two ends never come to rest");
  }
}
