import type { Buffer } from "node:buffer";
import { FrameFlag, RemoteProtocolError, TunnelErrorCode } from "@hoopish/protocol";
import type { FrameSink } from "./api.ts";
import { DATA_FRAME_BYTES, MAX_CONTROL_FRAMES, QUEUE_HIGH_BYTES } from "./limits.ts";
import type { Stream } from "./stream.ts";

/**
 * What waits to be sent: control frames in order, and a round of the streams that have both bytes and credit. A stream
 * without credit is not in the round, so it costs its neighbours nothing.
 */
export class Outbound {
  #control: Buffer[] = [];
  #first: Stream | undefined;
  #last: Stream | undefined;
  readonly #ended: (stream: Stream) => void;

  /** `ended` is called when a stream's END_STREAM has been handed to the sink. */
  constructor(ended: (stream: Stream) => void) {
    this.#ended = ended;
  }

  get pending(): boolean {
    return this.#control.length > 0 || this.#first !== undefined;
  }

  control(frame: Buffer): void {
    this.#control.push(frame);
  }

  /** A frame that the peer made us send. A peer that asks and does not read would otherwise fill our memory. */
  reply(frame: Buffer): void {
    if (this.#control.length >= MAX_CONTROL_FRAMES) {
      throw new RemoteProtocolError(TunnelErrorCode.ENHANCE_YOUR_CALM, "too many answers are waiting to be read");
    }
    this.#control.push(frame);
  }

  /** Puts a stream into the round if it has something that may go out. */
  offer(stream: Stream): void {
    if (stream.inRound || !isSendable(stream)) return;
    stream.inRound = true;
    if (this.#last === undefined) this.#first = stream;
    else this.#last.nextInRound = stream;
    this.#last = stream;
  }

  clear(): void {
    this.#control = [];
    this.#first = undefined;
    this.#last = undefined;
  }

  pullControl(sink: FrameSink): void {
    if (this.#control.length === 0) return;
    const frames = this.#control;
    this.#control = [];
    for (const frame of frames) sink.message(frame);
  }

  /** Hands over DATA frames of at least `budget` bytes if there are as many; returns streams to tell of the room. */
  pullData(sink: FrameSink, budget: number): Stream[] | undefined {
    let drained: Stream[] | undefined;
    let left = budget;
    while (left > 0) {
      const stream = this.#take();
      if (stream === undefined) break;
      if (!isSendable(stream)) continue;
      left -= this.#sendOne(stream, sink);
      if (stream.blocked && stream.queue.bytes * 2 <= QUEUE_HIGH_BYTES) {
        stream.blocked = false;
        drained ??= [];
        drained.push(stream);
      }
      this.offer(stream);
    }
    return drained;
  }

  #take(): Stream | undefined {
    const stream = this.#first;
    if (stream === undefined) return undefined;
    this.#first = stream.nextInRound;
    if (this.#first === undefined) this.#last = undefined;
    stream.nextInRound = undefined;
    stream.inRound = false;
    return stream;
  }

  #sendOne(stream: Stream, sink: FrameSink): number {
    const length = Math.min(stream.queue.bytes, stream.credit, DATA_FRAME_BYTES);
    const last = stream.sendPhase === "ending" && length === stream.queue.bytes;
    const trailers = last ? stream.trailers : undefined;
    if (length > 0 || trailers === undefined) {
      const endStream = last && trailers === undefined;
      sink.data(stream.id, endStream ? FrameFlag.END_STREAM : 0, length);
      stream.queue.moveTo(sink, length);
      stream.credit -= length;
    }
    if (trailers !== undefined) sink.message(trailers);
    if (last) this.#ended(stream);
    return length;
  }
}

function isSendable(stream: Stream): boolean {
  if (stream.state === "closed") return false;
  if (stream.queue.bytes > 0) return stream.credit > 0;
  return stream.sendPhase === "ending";
}
