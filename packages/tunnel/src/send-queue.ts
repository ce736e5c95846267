import { Buffer } from "node:buffer";

/** Takes the bytes of a frame, piece by piece: `chunk[start, end)`. The sink may keep `chunk` but not change it. */
export interface PieceSink {
  piece(chunk: Buffer, start: number, end: number): void;
}

/** Bytes that a stream has yet to send, first in first out, held by reference. */
export class SendQueue {
  bytes = 0;
  #chunks: Buffer[] = [];
  #head = 0;
  /** Bytes of the first chunk that are already sent. */
  #offset = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Moves the first `count` bytes to the sink; `count` is at most `bytes`. */
  moveTo(sink: PieceSink, count: number): void {
    this.bytes -= count;
    let left = count;
    while (left > 0) {
      const chunk = this.#chunks[this.#head] as Buffer;
      const end = Math.min(chunk.length, this.#offset + left);
      sink.piece(chunk, this.#offset, end);
      left -= end - this.#offset;
      this.#offset = end;
      if (end === chunk.length) this.#shift();
    }
  }

  clear(): void {
    this.bytes = 0;
    this.#chunks = [];
    this.#head = 0;
    this.#offset = 0;
  }

  #shift(): void {
    this.#offset = 0;
    this.#head += 1;
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#head = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#chunks.length) {
      // Array.shift is linear in the length of a long array; moving the rest once in a while is constant a chunk.
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    } else {
      // What is sent must not be kept alive by its place in the array.
      this.#chunks[this.#head - 1] = EMPTY;
    }
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
