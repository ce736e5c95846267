import type { ServerHttp2Stream } from "node:http2";
import { HoopishError } from "@hoopish/protocol";
import { GrpcFrameReader } from "../../protobuf/framing.ts";
import type { RequestBody } from "../../relay/exchange.ts";

/**
 * A request of gRPC: whole messages with their prefix, whichever way the client cut them. Of a client's stream the first
 * message is read before the call is judged; of anything else all of it.
 */
export class GrpcBody implements RequestBody {
  readonly trailers: readonly string[] = [];
  readonly #stream: ServerHttp2Stream;
  readonly #streams: boolean;
  readonly #reader: GrpcFrameReader;
  /** Messages that came together with the first. */
  #waiting: Buffer[] = [];

  /** @param streams the client may send any number of messages */
  constructor(stream: ServerHttp2Stream, streams: boolean, maxMessageBytes: number) {
    this.#stream = stream;
    this.#streams = streams;
    this.#reader = new GrpcFrameReader({ maxMessageBytes });
  }

  arrived(): Promise<Buffer | undefined> {
    return Promise.resolve(undefined);
  }

  /** @throws HoopishError bad_request, request_too_large */
  async prefix(limitBytes: number): Promise<{ readonly bytes: Buffer; readonly ended: boolean }> {
    const frames: Buffer[] = [];
    let total = 0;
    for await (const frame of this.#frames()) {
      frames.push(frame);
      total += frame.length;
      if (this.#streams) return { bytes: frame, ended: false };
      if (total > limitBytes) return { bytes: Buffer.concat(frames), ended: false };
    }
    return { bytes: frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames), ended: true };
  }

  rest(): AsyncIterable<Buffer> {
    return this.#frames();
  }

  async *#frames(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) yield frame;
        const chunk = await this.#next();
        if (chunk === undefined) break;
        for (const { raw } of this.#reader.push(chunk)) this.#waiting.push(raw);
      }
      this.#reader.end();
    } catch (cause) {
      throw unreadable(cause);
    }
  }

  /**
   * The next bytes; undefined: the client has ended its side. By hand: a stream's own iterator never comes back when the stream was
   * reset before it was asked.
   */
  #next(): Promise<Buffer | undefined> {
    const stream = this.#stream;
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const chunk = stream.read() as Buffer | null;
        if (chunk !== null) settle(() => resolve(chunk));
        else if (stream.readableEnded) settle(() => resolve(undefined));
        else if (stream.aborted || stream.destroyed) gone();
      };
      const gone = (): void => settle(() => reject(new Error("the stream was reset")));
      const ended = (): void => settle(() => resolve(undefined));
      const settle = (done: () => void): void => {
        stream.off("readable", look).off("end", ended).off("aborted", gone).off("close", gone);
        done();
      };
      stream.on("readable", look).on("end", ended).on("aborted", gone).on("close", gone);
      look();
    });
  }
}

function unreadable(cause: unknown): HoopishError {
  if ((cause as Error).name === "GrpcProtocolError") {
    return new HoopishError("bad_request", `the request is not framed as gRPC's: ${(cause as Error).message}`, {
      cause,
    });
  }
  return new HoopishError("bad_request", "the request broke off before it was complete", { cause });
}
