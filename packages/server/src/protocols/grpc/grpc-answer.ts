import type { ServerHttp2Stream } from "node:http2";
import { constants, type OutgoingHttpHeaders } from "node:http2";
import type { HeaderList, HoopishError } from "@hoopish/protocol";
import type { AnswerHead, AnswerSink } from "../../relay/exchange.ts";
import { refusalTrailers } from "./status.ts";

const NOTHING = Buffer.alloc(0);
/** Time for the last bytes of a broken answer to leave before it is said to be broken. */
const FAREWELL_MS = 100;

/**
 * An answer on an HTTP/2 stream. Only Buffers are written to it: Node joins a string that is written between others with
 * memory that was never its own.
 */
export class GrpcAnswerSink implements AnswerSink {
  readonly #stream: ServerHttp2Stream;
  #trailers: HeaderList = [];
  #ended = false;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.on("wantTrailers", () => {
      if (!stream.destroyed) stream.sendTrailers(fields(this.#trailers));
    });
  }

  get headSent(): boolean {
    return this.#stream.headersSent;
  }

  onGone(listener: () => void): void {
    const gone = (): void => {
      if (!this.#ended) listener();
    };
    // It may be gone before anybody asks.
    if (this.#stream.closed || this.#stream.destroyed) queueMicrotask(gone);
    else this.#stream.once("close", gone);
  }

  onDrain(listener: () => void): void {
    this.#stream.on("drain", listener);
  }

  /** A refusal: all of it in one HEADERS frame ("Trailers-Only"). */
  whole(head: AnswerHead, body: Buffer | undefined): void {
    if (this.#gone()) return;
    if (body !== undefined && body.length > 0) {
      this.head(head);
      this.write(body);
      this.end([]);
      return;
    }
    this.#ended = true;
    this.#stream.respond({ ":status": 200, ...fields(head.headers) }, { endStream: true });
    // What is left of an unread request is of no use to anybody.
    this.#stream.resume();
  }

  head(head: AnswerHead): void {
    if (!this.#gone()) this.#stream.respond({ ":status": 200, ...fields(head.headers) }, { waitForTrailers: true });
  }

  write(bytes: Buffer): boolean {
    return this.#gone() || this.#stream.write(bytes);
  }

  end(trailers: HeaderList): void {
    if (this.#gone()) return;
    this.#ended = true;
    this.#trailers = trailers;
    this.#stream.end();
    this.#stream.resume();
  }

  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer } {
    const headers = ["content-type", "application/grpc", ...refusalTrailers(error)];
    return { head: { status: error.shape.http, headers }, body: NOTHING };
  }

  cut(error: HoopishError): void {
    const stream = this.#stream;
    if (this.#gone()) return;
    // What waits for a client that does not read would go before the reason: then there is none but the reset.
    if (!stream.headersSent || stream.writableLength > 0) {
      this.#ended = true;
      stream.close(constants.NGHTTP2_CANCEL);
    } else this.end(refusalTrailers(error));
  }

  cutSoon(error: HoopishError): void {
    setTimeout(() => this.cut(error), FAREWELL_MS);
  }

  #gone(): boolean {
    return this.#ended || this.#stream.destroyed || this.#stream.closed;
  }
}

function fields(list: HeaderList): OutgoingHttpHeaders {
  const out: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    const known = out[name];
    out[name] = known === undefined ? value : [...[known].flat(), value];
  }
  return out;
}
