import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import {
  BINARY,
  CLOSE,
  decodeClose,
  type HeaderList,
  type HoopishError,
  WebSocketMessageReader,
} from "@hoopish/protocol";
import { type WebSocket, WebSocketServer } from "ws";
import type { AnswerHead, AnswerSink } from "../../relay/exchange.ts";
import { headerValue } from "../../relay/headers.ts";
import type { Session } from "../../sessions/session.ts";
import { refusalBody } from "../http/refusal.ts";
import { LINGER_MS } from "../line.ts";
import type { WebSocketBody } from "./websocket-body.ts";

/** Bytes that may wait for a client that does not read; then no more are asked for. */
const MAX_BUFFERED = 262_144;
const FAREWELL_MS = 100;
/** RFC 6455 §7.4.1: the message breaks a rule of the endpoint's; something went wrong. */
const POLICY_VIOLATION = 1008;
const INTERNAL_ERROR = 1011;

/** The model server's messages, on the client's WebSocket; before the handshake is done, a refusal in HTTP. */
export class WebSocketAnswerSink implements AnswerSink {
  readonly #request: IncomingMessage;
  readonly #duplex: Duplex;
  readonly #head: Buffer;
  readonly #session: Session;
  readonly #body: WebSocketBody;
  readonly #reader: WebSocketMessageReader;
  #socket: WebSocket | undefined;
  #headSent = false;
  #over = false;
  #drained: () => void = () => {};

  constructor(request: IncomingMessage, duplex: Duplex, head: Buffer, session: Session, body: WebSocketBody) {
    this.#request = request;
    this.#duplex = duplex;
    this.#head = head;
    this.#session = session;
    this.#body = body;
    this.#reader = new WebSocketMessageReader(session.connection.limits.responseBytes);
  }

  get headSent(): boolean {
    return this.#headSent;
  }

  onGone(listener: () => void): void {
    this.#duplex.once("close", () => {
      this.#body.end();
      // A client that has closed the WebSocket in order waits for the model server's close, as far as it waits at all.
      if (!this.#over && this.#socket?.readyState !== 2 && !this.#closedInOrder) listener();
    });
  }
  #closedInOrder = false;

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  /** A refusal, or an answer that came whole. */
  whole(head: AnswerHead, body: Buffer | undefined): void {
    if (head.status === 101) {
      this.head(head);
      if (body !== undefined && body.length > 0) this.write(body);
      this.end();
      return;
    }
    this.#headSent = true;
    this.#over = true;
    if (!this.#duplex.writable) return;
    let text = `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? ""}\r\n`;
    for (let i = 0; i + 1 < head.headers.length; i += 2) text += `${head.headers[i]}: ${head.headers[i + 1]}\r\n`;
    this.#duplex.end(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), body ?? Buffer.alloc(0)]));
    setTimeout(() => this.#duplex.destroy(), LINGER_MS).unref();
  }

  /** The handshake (RFC 6455 §4.2.2). */
  head(head: AnswerHead): void {
    if (this.#headSent || this.#duplex.destroyed) return;
    this.#headSent = true;
    const { requestBytes } = this.#session.connection.limits;
    const chosen = headerValue(head.headers, "sec-websocket-protocol");
    const server = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: requestBytes },
      handleProtocols: () => chosen ?? false,
    });
    server.on("headers", (lines) => {
      for (let i = 0; i + 1 < head.headers.length; i += 2) {
        const name = head.headers[i] as string;
        if (!/^(?:sec-websocket-|content-length$)/.test(name)) lines.push(`${name}: ${head.headers[i + 1]}`);
      }
    });
    server.handleUpgrade(this.#request, this.#duplex, this.#head, (socket) => {
      this.#socket = socket;
      socket.on("error", () => socket.terminate());
      socket.on("close", (code) => {
        this.#closedInOrder = code !== 1006;
      });
      this.#body.attach(socket);
    });
  }

  write(bytes: Buffer): boolean {
    const socket = this.#socket;
    if (socket === undefined) return true;
    for (const { kind, data } of this.#reader.push(bytes)) {
      if (kind !== CLOSE) socket.send(data, { binary: kind === BINARY }, () => this.#sent());
      else this.#close(data);
    }
    return socket.bufferedAmount <= MAX_BUFFERED;
  }

  end(_trailers: HeaderList = []): void {
    this.#over = true;
    if (this.#socket !== undefined && this.#socket.readyState === 1) this.#socket.close();
  }

  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer } {
    const { type, body } = refusalBody(this.#session.connection.api, error);
    const headers = ["content-type", type, "content-length", String(body.length), "connection", "close"];
    return { head: { status: error.shape.http, headers }, body };
  }

  cut(error: HoopishError): void {
    if (this.#over) return;
    this.#over = true;
    this.#body.end();
    const socket = this.#socket;
    if (socket === undefined) {
      this.#duplex.destroy();
      return;
    }
    const code = error.shape.http >= 500 ? INTERNAL_ERROR : POLICY_VIOLATION;
    socket.close(code, `hoopish: ${error.message}`.slice(0, 100));
    setTimeout(() => socket.terminate(), LINGER_MS / 2).unref();
  }

  cutSoon(error: HoopishError): void {
    setTimeout(() => this.cut(error), FAREWELL_MS);
  }

  #sent(): void {
    if ((this.#socket?.bufferedAmount ?? 0) <= MAX_BUFFERED / 2) this.#drained();
  }

  #close(data: Buffer): void {
    const { code, reason } = decodeClose(data);
    this.#over = true;
    if (this.#socket?.readyState !== 1) return;
    if (code === 1005 || code === 1006) this.#socket.close();
    else this.#socket.close(code, reason);
  }
}
