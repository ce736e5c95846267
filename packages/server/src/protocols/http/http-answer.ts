import type { IncomingMessage, ServerResponse } from "node:http";
import { type Api, ERROR_SHAPES, type HeaderList, type HoopishError } from "@hoopish/protocol";
import type { AnswerHead, AnswerSink } from "../../relay/exchange.ts";
import { headerValue } from "../../relay/headers.ts";
import { refusalBody } from "./refusal.ts";

/** Seconds after which a client may try a retryable refusal again. */
const RETRY_AFTER_SECONDS = 1;
/** Time for the last bytes of a broken answer to leave before its connection is reset. */
const FAREWELL_MS = 100;

/** An answer on Node's ServerResponse, over a tunnel stream. */
export class HttpAnswerSink implements AnswerSink {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #api: Api;
  #drained: () => void = () => {};

  constructor(request: IncomingMessage, response: ServerResponse, api: Api) {
    this.#request = request;
    this.#response = response;
    this.#api = api;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  onGone(listener: () => void): void {
    this.#response.on("close", () => {
      if (!this.#response.writableFinished) listener();
    });
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  whole(head: AnswerHead, body: Buffer | undefined): void {
    if (this.#gone()) return;
    const bytes = body ?? Buffer.alloc(0);
    const framed =
      hasNoBody(head.status, this.#request.method) || headerValue(head.headers, "content-length") !== undefined;
    const headers = framed ? head.headers : [...head.headers, "content-length", String(bytes.length)];
    this.#writeHead({ status: head.status, headers });
    this.#response.end(bytes);
  }

  head(head: AnswerHead): void {
    if (this.#gone()) return;
    this.#writeHead(head);
    this.#response.flushHeaders();
  }

  write(bytes: Buffer): boolean {
    if (this.#gone() || this.#response.write(bytes)) return true;
    this.#response.once("drain", this.#drained);
    return false;
  }

  end(trailers: HeaderList): void {
    if (this.#gone()) return;
    if (trailers.length > 0) this.#response.addTrailers(pairs(trailers));
    this.#response.end();
  }

  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer } {
    const shape = ERROR_SHAPES[error.code];
    const { type, body } = refusalBody(this.#api, error);
    const headers = ["content-type", type, "content-length", String(body.length)];
    if (shape.retryable) headers.push("retry-after", String(RETRY_AFTER_SECONDS));
    // What is left of an unread body would be taken for the next request.
    if (!this.#request.complete) headers.push("connection", "close");
    return { head: { status: shape.http, headers }, body };
  }

  cut(): void {
    this.#request.socket.destroy();
  }

  cutSoon(): void {
    setTimeout(() => this.cut(), FAREWELL_MS);
  }

  #writeHead(head: AnswerHead): void {
    // The model server's own date is the answer's date (RFC 9110 §6.6.1).
    if (headerValue(head.headers, "date") !== undefined) this.#response.sendDate = false;
    this.#response.writeHead(head.status, head.headers as string[]);
  }

  #gone(): boolean {
    return this.#response.destroyed || this.#request.socket.destroyed;
  }
}

/** Answers that never have a body: RFC 9110 §6.4.1. */
const hasNoBody = (status: number, method: string | undefined): boolean =>
  status === 204 || status === 304 || method === "HEAD";

function pairs(list: HeaderList): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) out.push([list[i] as string, list[i + 1] as string]);
  return out;
}
