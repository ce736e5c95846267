import type { IncomingMessage } from "node:http";
import { type HeaderList, HoopishError } from "@hoopish/protocol";
import type { RequestBody } from "../../relay/exchange.ts";

/** A request's body as Node's parser gives it. */
export class HttpBody implements RequestBody {
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.#request = request;
  }

  /** Async, so that the parser, which has just told of the head, comes to the end of what it was given. */
  async arrived(limitBytes: number): Promise<Buffer | undefined> {
    const request = this.#request;
    await undefined;
    if (!request.complete || request.destroyed || request.readableLength > limitBytes) return undefined;
    return (request.read() as Buffer | null) ?? Buffer.alloc(0);
  }

  prefix(limitBytes: number): Promise<{ readonly bytes: Buffer; readonly ended: boolean }> {
    const request = this.#request;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let total = 0;
      const settle = (ended: boolean): void => {
        stop();
        resolve({ bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, total), ended });
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        total += chunk.length;
        if (total <= limitBytes) return;
        request.pause();
        settle(false);
      };
      const onEnd = (): void => settle(true);
      const onClose = (): void => {
        stop();
        reject(new HoopishError("bad_request", "the request broke off before it was complete"));
      };
      const stop = (): void => {
        request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      };
      request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
    });
  }

  /** Leaves the request standing when iteration stops early: its connection still has to carry the answer. */
  async *rest(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
    } catch (cause) {
      throw new HoopishError("bad_request", "the request broke off before it was complete", { cause });
    }
  }

  get trailers(): HeaderList {
    return lowerCased(this.#request.rawTrailers);
  }
}

/** Raw name, value, name, value … with the names in lower case (they are case-insensitive: RFC 9110 §5.1). */
export function lowerCased(raw: readonly string[]): string[] {
  const list = raw.slice();
  for (let i = 0; i < list.length; i += 2) list[i] = (list[i] as string).toLowerCase();
  return list;
}
