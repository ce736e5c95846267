import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { HeaderList } from "@hoopish/protocol";
import { framed, MessageReader } from "./message-reader.ts";
import { GarbledError } from "./wire.ts";

/** The model server ended the stream with a status of gRPC (google.rpc.Code); the message is its own. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
export const UNIMPLEMENTED = 12;
export const UNAUTHENTICATED = 16;
const UNKNOWN = 2;
/** What an HTTP status means where there is none of gRPC (grpc/doc/http-grpc-status-mapping.md). */
const OF_HTTP: Readonly<Record<number, number>> = { 401: UNAUTHENTICATED, 403: 7, 404: UNIMPLEMENTED };

/** A stream of gRPC on which one message at a time is answered by one. Only Buffers are written to it. */
export class Conversation {
  readonly #stream: ClientHttp2Stream;
  readonly #reader = new MessageReader();
  #waiting: PromiseWithResolvers<Buffer> | undefined;
  #over: Error | undefined;

  /** @throws when the session is gone, or a header cannot be sent */
  constructor(session: ClientHttp2Session, path: string, headers: HeaderList) {
    const all: OutgoingHttpHeaders = { ":method": "POST", ":path": path };
    for (let i = 0; i + 1 < headers.length; i += 2) all[headers[i] as string] = headers[i + 1];
    this.#stream = session.request({ ...all, te: "trailers" });
    this.#stream.on("response", (answer) => this.#onResponse(answer));
    this.#stream.on("trailers", (trailers) => this.#end(statusIn(trailers)));
    this.#stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#stream.on("end", () => this.#end(new GarbledError("its answer ends without a status")));
    this.#stream.on("error", (error) => this.#end(error));
    this.#stream.on("close", () => this.#end(new GarbledError("it broke its answer off")));
  }

  /** One at a time. @throws StatusError, GarbledError, TooMuchError; what the network says */
  ask(message: Buffer): Promise<Buffer> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    this.#waiting = Promise.withResolvers();
    this.#stream.write(framed(message));
    return this.#waiting.promise;
  }

  close(): void {
    this.#end(new Error("closed"));
  }

  #onResponse(headers: IncomingHttpHeaders & { ":status"?: number | undefined }): void {
    const status = headers[":status"] ?? 0;
    const type = String(headers["content-type"]);
    if (headers["grpc-status"] !== undefined) this.#end(statusIn(headers));
    else if (status !== 200) this.#end(new StatusError(OF_HTTP[status] ?? UNKNOWN, `HTTP status ${status}`));
    else if (!type.startsWith("application/grpc")) this.#end(new GarbledError("it answers, but not in gRPC"));
  }

  #onData(chunk: Buffer): void {
    if (this.#over !== undefined) return;
    try {
      for (const message of this.#reader.push(chunk)) {
        const waiting = this.#waiting;
        // Nothing is kept for later: a server that talks on its own would fill the memory.
        if (waiting === undefined) throw new GarbledError("it answers what was not asked");
        this.#waiting = undefined;
        waiting.resolve(message);
      }
    } catch (error) {
      this.#end(error as Error);
    }
  }

  /** The first reason counts. */
  #end(why: Error): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#waiting?.reject(why);
    this.#waiting = undefined;
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

function statusIn(headers: IncomingHttpHeaders): Error {
  const status = Number(headers["grpc-status"]);
  if (!Number.isInteger(status)) return new GarbledError("its answer ends without a status");
  if (status === 0) return new GarbledError("it ends the conversation before all was asked");
  return new StatusError(status, percentDecoded(String(headers["grpc-message"] ?? "")));
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
