import { Buffer } from "node:buffer";
import type { HeaderList } from "@hoopish/protocol";
import type { TunnelStream } from "@hoopish/tunnel";

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * A call's body between the tunnel and the model server. When all of it is there before the call goes out it is taken
 * as one Buffer; otherwise undici iterates it, and the tunnel's credit goes back as the model server's socket takes
 * the bytes, so that a model server that does not read stops its caller and not this process's memory.
 */
export class RequestBody implements AsyncIterableIterator<Buffer, undefined> {
  readonly #stream: TunnelStream;
  readonly #chunks: Buffer[] = [];
  #state: { readonly kind: "open" } | { readonly kind: "ended" } | { readonly kind: "failed"; readonly error: Error } =
    { kind: "open" };
  /** The chunk that undici has in hand, whose credit is still owed. */
  #inHand = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Buffer, undefined>> | undefined;
  /** What followed the last byte; known once the body has ended. */
  trailers: HeaderList = [];

  constructor(stream: TunnelStream) {
    this.#stream = stream;
  }

  get isComplete(): boolean {
    return this.#state.kind === "ended";
  }

  push(chunk: Buffer): void {
    if (this.#state.kind !== "open") return;
    if (this.#waiting === undefined) this.#chunks.push(chunk);
    else this.#hand(chunk, this.#settle());
  }

  end(): void {
    if (this.#state.kind !== "open") return;
    this.#state = { kind: "ended" };
    if (this.#waiting !== undefined) this.#settle().resolve(DONE);
  }

  /** The call is over or lost: whoever iterates is told, and what is held is let go. */
  fail(error: Error): void {
    if (this.#state.kind === "failed") return;
    this.#state = { kind: "failed", error };
    this.#chunks.length = 0;
    if (this.#waiting !== undefined) this.#settle().reject(error);
  }

  /** The whole of a body that has ended, without a copy where it came in one piece. */
  take(): Buffer {
    const chunks = this.#chunks.splice(0);
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    // Asked for more: the socket has taken the last chunk.
    if (this.#inHand > 0) this.#stream.consumed(this.#inHand);
    this.#inHand = 0;
    const waiting = Promise.withResolvers<IteratorResult<Buffer, undefined>>();
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#hand(chunk, waiting);
    else if (this.#state.kind === "ended") waiting.resolve(DONE);
    else if (this.#state.kind === "failed") waiting.reject(this.#state.error);
    else this.#waiting = waiting;
    return waiting.promise;
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#state = { kind: "ended" };
    this.#chunks.length = 0;
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(chunk: Buffer, to: PromiseWithResolvers<IteratorResult<Buffer, undefined>>): void {
    this.#inHand = chunk.length;
    to.resolve({ done: false, value: chunk });
  }

  #settle(): PromiseWithResolvers<IteratorResult<Buffer, undefined>> {
    const waiting = this.#waiting as PromiseWithResolvers<IteratorResult<Buffer, undefined>>;
    this.#waiting = undefined;
    return waiting;
  }
}
