import type { IncomingMessage } from "node:http";
import {
  BINARY,
  CLOSE,
  decodeClose,
  encodeClose,
  encodeWebSocketMessage,
  type StreamError,
  TEXT,
  TunnelErrorCode,
  WebSocketMessageReader,
  type WebSocketOpen,
} from "@hoopish/protocol";
import type { StreamHandler, StreamResetError, TunnelStream } from "@hoopish/tunnel";
import { WebSocket } from "ws";
import type { AppliedCredential } from "../../credential/credential.ts";
import { codeOf } from "../../error-code.ts";
import type { Carried, CarriedEvents, Outcome } from "../carried.ts";
import { readTls } from "../connector.ts";
import { answerHeaders, requestHeaders, requestPath } from "../headers.ts";
import type { Upstream } from "../upstream.ts";
import { upstreamError } from "../upstream-error.ts";

/** Messages that wait for the model server's socket, bytes: then the caller is not given more credit. */
const MAX_BUFFERED = 262_144;
/** How long a model server may take for its close after ours. */
const CLOSE_MS = 2_000;
/** Fields of the handshake, which `ws` writes itself. */
const HANDSHAKE = /^sec-websocket-/;

/** One WebSocket: messages on a stream of the tunnel on one side, frames to the model server on the other. */
export class WebSocketCall implements StreamHandler, Carried {
  readonly open: WebSocketOpen;
  readonly startedMs: number = performance.now();
  place = -1;
  readonly #stream: TunnelStream;
  readonly #target: Upstream;
  readonly #events: CarriedEvents;
  readonly #reader: WebSocketMessageReader;
  #credential: AppliedCredential | undefined;
  #socket: WebSocket | undefined;
  #answered = false;
  #over = false;

  constructor(stream: TunnelStream, open: WebSocketOpen, target: Upstream, events: CarriedEvents) {
    this.#stream = stream;
    this.open = open;
    this.#target = target;
    this.#events = events;
    this.#reader = new WebSocketMessageReader(open.maxMessageBytes);
    this.#begin().catch((error: unknown) => this.#fail(NO_CREDENTIAL, codeOf(error)));
  }

  get facts(): Carried["facts"] {
    return { call: this.open.call, connection: this.open.connection };
  }

  async #begin(): Promise<void> {
    this.#credential = await this.#target.credential?.current();
    if (this.#over) return;
    const { target, tls } = this.#target.config;
    const { list } = requestHeaders(this.open.headers, this.#credential);
    const path = requestPath(target.basePath, this.open.path, this.#credential);
    const socket = new WebSocket(`${target.origin.replace(/^http/, "ws")}${path}`, [...this.open.protocols], {
      headers: fields(list),
      perMessageDeflate: false,
      maxPayload: this.open.maxMessageBytes,
      handshakeTimeout: this.open.timeoutMs,
      followRedirects: false,
      ...(tls === undefined ? {} : readTls(tls)),
    });
    this.#socket = socket;
    let head: IncomingMessage | undefined;
    socket.on("upgrade", (response) => {
      head = response;
    });
    socket.on("open", () => {
      this.#answered = true;
      const headers = answerHeaders(head?.headers ?? {}, this.#credential);
      this.#stream.sendHeaders({ status: 101, headers: withProtocol(headers, socket.protocol) });
    });
    socket.on("unexpected-response", (_request, response) => this.#refused(response));
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (this.#over) return;
      if (!this.#stream.write(encodeWebSocketMessage(isBinary ? BINARY : TEXT, data))) socket.pause();
    });
    socket.on("close", (code, reason) => this.#closed(code, reason.toString("utf8")));
    socket.on("error", (error) => {
      if (!this.#answered) this.#fail(upstreamError(error), codeOf(error));
    });
  }

  // --- from the server, through the tunnel ---

  onData(chunk: Buffer): void {
    if (this.#over) return;
    try {
      for (const { kind, data } of this.#reader.push(chunk)) {
        if (kind === CLOSE) this.#close(data);
        else this.#socket?.send(data, { binary: kind === BINARY });
      }
    } catch {
      this.abort({ code: "bad_request", message: "the agent cannot read the messages of this WebSocket" });
      return;
    }
    this.#giveCredit(chunk.length);
  }

  /** What the model server does not take holds back who sends it. */
  #giveCredit(bytes: number): void {
    const { state } = this.#stream;
    if (this.#over || state === "closed" || state === "half-closed-remote") return;
    if ((this.#socket?.bufferedAmount ?? 0) <= MAX_BUFFERED) this.#stream.consumed(bytes);
    else setTimeout(() => this.#giveCredit(bytes), 5);
  }

  onEnd(): void {
    this.#close(Buffer.alloc(0));
  }

  onReset(error: StreamResetError): void {
    if (this.#over) return;
    this.#socket?.terminate();
    this.#finish({ kind: "cancelled", detail: error.message });
  }

  onDrain(): void {
    this.#socket?.resume();
  }

  abort(error: StreamError): void {
    this.#fail(error, error.code);
  }

  // --- from the model server ---

  /** Another answer than 101 is its answer, head and body. */
  #refused(response: IncomingMessage): void {
    if (this.#over || this.#answered) return;
    this.#answered = true;
    const status = response.statusCode ?? 502;
    if (status < 200 || status > 599) {
      this.#answered = false;
      this.#fail(BAD_STATUS, String(status));
      return;
    }
    this.#stream.sendHeaders({ status, headers: answerHeaders(response.headers, this.#credential) });
    response.on("data", (chunk: Buffer) => this.#stream.write(chunk));
    response.on("end", () => {
      this.#stream.end();
      this.#finish({ kind: "answered", status });
    });
    response.on("error", (error) => this.#fail(upstreamError(error), codeOf(error)));
  }

  #closed(code: number, reason: string): void {
    if (this.#over) return;
    // 1006: it broke off, and never said so.
    if (!this.#answered || code === 1006) {
      this.#fail(BROKE_OFF, String(code));
      return;
    }
    this.#stream.end(encodeClose(code, this.#credential?.isEchoedIn(reason) === true ? "" : reason));
    this.#finish({ kind: "answered", status: 101 });
  }

  #close(data: Buffer): void {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState >= WebSocket.CLOSING) return;
    const { code, reason } = decodeClose(data);
    // 1005 and 1006 are never sent (RFC 6455 §7.4.1).
    if (code === 1005 || code === 1006) socket.close();
    else socket.close(code, reason);
    setTimeout(() => socket.terminate(), CLOSE_MS).unref();
  }

  // --- the end ---

  #fail(error: StreamError, detail: string): void {
    if (this.#over) return;
    if (this.#stream.state !== "closed") {
      if (this.#answered) this.#stream.reset(TunnelErrorCode.INTERNAL_ERROR, `${error.code}: ${error.message}`);
      else this.#stream.sendHeaders({ error }, { endStream: true });
    }
    this.#socket?.terminate();
    this.#finish({ kind: "failed", error, detail });
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#target.calls -= 1;
    this.#events.over(this, outcome);
  }
}

function fields(list: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] as string;
    if (!HANDSHAKE.test(name))
      out[name] = out[name] === undefined ? (list[i + 1] as string) : `${out[name]}, ${list[i + 1]}`;
  }
  return out;
}

function withProtocol(headers: readonly string[], protocol: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!HANDSHAKE.test(headers[i] as string)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return protocol === "" ? kept : [...kept, "sec-websocket-protocol", protocol];
}

const upstreamFailed = (message: string): StreamError => ({ code: "upstream_failed", message });
const NO_CREDENTIAL = upstreamFailed("the agent cannot obtain the credential for this connection");
const BAD_STATUS = upstreamFailed("the model server's answer has a status outside of HTTP");
const BROKE_OFF = upstreamFailed("the model server broke the WebSocket off");
