import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { HoopishError } from "@hoopish/protocol";
import { refuseUnparsed, relayCall } from "../../relay/call.ts";
import type { AnswerHead, AnswerSink, Exchange } from "../../relay/exchange.ts";
import { headerValue } from "../../relay/headers.ts";
import type { RelayPorts } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";
import { cutWithSession, LINGER_MS, type StreamEntry } from "../line.ts";
import { WebSocketAnswerSink } from "../websocket/websocket-answer.ts";
import { WebSocketBody } from "../websocket/websocket-body.ts";
import { WebSocketExchange } from "../websocket/websocket-exchange.ts";
import { HttpAnswerSink } from "./http-answer.ts";
import { HttpBody, lowerCased } from "./http-body.ts";
import { HttpExchange } from "./http-exchange.ts";
import { refusalBody } from "./refusal.ts";

/** Request line and fields of one request, at most. */
const MAX_HEAD_BYTES = 32_768;
/** A request's head must be complete within this time of its first byte. */
const HEAD_TIMEOUT_MS = 10_000;

/** One tunnelled TCP connection. */
interface Line {
  readonly session: Session;
  /** Requests whose answers are not complete. */
  busy: number;
  /** What came could not be parsed: the line is being closed, and what still comes is not looked at. */
  refused: boolean;
}

/**
 * HTTP/1.1 on tunnel streams, with Node's own parser (llhttp, strict): framing and smuggling are its business, and
 * nothing behind it sees the bytes. The server never listens on a port.
 */
export function createHttpEntry(ports: RelayPorts, report: (error: unknown) => void): StreamEntry {
  const lines = new WeakMap<Duplex, Line>();
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: HEAD_TIMEOUT_MS,
    // A body's time is the call's own limit.
    requestTimeout: 0,
    keepAliveTimeout: 0,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
    // Any other upgrade is not carried: the request goes on as one of HTTP/1.1, which every server must be content with.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.trim().toLowerCase() === "websocket",
  });

  const run = (line: Line, work: Promise<void>): void => {
    line.busy += 1;
    work.then(
      () => {
        line.busy -= 1;
      },
      (error: unknown) => {
        line.busy -= 1;
        report(error);
      },
    );
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const line = lines.get(request.socket);
    if (line === undefined) request.socket.destroy();
    else run(line, relayRequest(line.session, request, response, ports));
  };

  server.on("request", serve);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const line = lines.get(socket);
    if (line === undefined) socket.destroy();
    else run(line, relayWebSocket(line.session, request, socket, head, ports));
  });
  // CONNECT asks for a tunnel through the model server: there is nothing behind it that hoopish serves.
  server.on("connect", (_request: IncomingMessage, socket: Duplex) =>
    refuseOnWire(socket, new HoopishError("bad_request", "CONNECT is not served")),
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => refuseOnWire(socket, parseError(error)));
  // The check of slow heads starts when a server listens; this one is given its connections instead.
  server.emit("listening");

  function refuseOnWire(socket: Duplex, error: HoopishError): void {
    const line = lines.get(socket);
    // The parser complains again for each further piece of what it could not read.
    if (line?.refused === true) return;
    if (line === undefined || socket.destroyed) {
      socket.destroy();
      return;
    }
    line.refused = true;
    // With an answer still under way, a second one written now would be read as the first.
    const sink = new WireSink(socket, line.session, line.busy === 0);
    run(line, refuseUnparsed(line.session, unparsed(line.session, sink), error, ports));
  }

  return {
    accept(stream, session) {
      lines.set(stream, { session, busy: 0, refused: false });
      stream.on("error", () => stream.destroy());
      lingerOnClose(stream);
      cutWithSession(stream, session);
      server.emit("connection", stream);
    },
    // Each answer of HTTP/1.1 says whether another may follow; what comes too late is refused by the list.
    drain: () => undefined,
    close: () => closeServer(server),
  };
}

function relayRequest(
  session: Session,
  request: IncomingMessage,
  response: ServerResponse,
  ports: RelayPorts,
): Promise<void> {
  const target = request.url ?? "";
  const at = target.indexOf("?");
  const headers = lowerCased(request.rawHeaders);
  const exchange = new HttpExchange(
    session,
    {
      method: request.method ?? "",
      path: at === -1 ? target : target.slice(0, at),
      query: at === -1 ? "" : target.slice(at),
      headers,
      length: bodyLength(headers),
    },
    new HttpBody(request),
    new HttpAnswerSink(request, response, session.connection.api),
  );
  if (!isLocal(headers)) {
    return refuseUnparsed(session, exchange, new HoopishError("access_denied", NOT_LOCAL), ports);
  }
  if (!target.startsWith("/")) {
    return refuseUnparsed(
      session,
      exchange,
      new HoopishError("bad_request", "the request target is not a path"),
      ports,
    );
  }
  return relayCall(session, exchange, ports);
}

/** A WebSocket (RFC 6455): judged before its handshake is answered. */
function relayWebSocket(
  session: Session,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  ports: RelayPorts,
): Promise<void> {
  const target = request.url ?? "";
  const at = target.indexOf("?");
  const headers = lowerCased(request.rawHeaders);
  const body = new WebSocketBody();
  const exchange = new WebSocketExchange(
    session,
    { path: at === -1 ? target : target.slice(0, at), query: at === -1 ? "" : target.slice(at), headers },
    body,
    new WebSocketAnswerSink(request, socket, head, session, body),
  );
  const problem = handshakeProblem(request, headers, target);
  return problem === undefined
    ? relayCall(session, exchange, ports)
    : refuseUnparsed(session, exchange, problem, ports);
}

/** RFC 6455 §4.2.1, as far as `ws` would refuse it in its own words, past the log. */
function handshakeProblem(
  request: IncomingMessage,
  headers: readonly string[],
  target: string,
): HoopishError | undefined {
  if (!isLocal(headers)) return new HoopishError("access_denied", NOT_LOCAL);
  if (!target.startsWith("/")) return new HoopishError("bad_request", "the request target is not a path");
  const good =
    request.method === "GET" &&
    /^[+/0-9A-Za-z]{22}==$/.test(headerValue(headers, "sec-websocket-key") ?? "") &&
    headerValue(headers, "sec-websocket-version") === "13";
  return good ? undefined : new HoopishError("bad_request", "the request is no handshake of a WebSocket");
}

const NOT_LOCAL = "the request's Host or Origin is not the local port: a page in a browser may have sent it";
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * Whether a request was made to the local port by name, and not by a web page whose name was pointed at it (DNS rebinding)
 * or that posts to it blindly. The CLI looks at a connection's first head; this sees every one, also where a browser
 * shares a connection between pages.
 */
function isLocal(headers: readonly string[]): boolean {
  let host: string | undefined;
  let origin: string | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i];
    if (name === "host") host = headers[i + 1];
    else if (name === "origin") origin = headers[i + 1];
    else if (name === "sec-fetch-site" && headers[i + 1] !== "none" && headers[i + 1] !== "same-origin") return false;
  }
  // HTTP/1.0 has no Host; a browser never speaks it.
  if (host !== undefined && !LOOPBACK.test(host)) return false;
  return origin === undefined || (host !== undefined && origin === `http://${host}`);
}

/** RFC 9112 §6.3: without Content-Length and Transfer-Encoding a request has no body. */
function bodyLength(headers: readonly string[]): number | undefined {
  if (headerValue(headers, "transfer-encoding") !== undefined) return undefined;
  return Number(headerValue(headers, "content-length") ?? 0);
}

function parseError(error: NodeJS.ErrnoException): HoopishError {
  if (error.code === "HPE_HEADER_OVERFLOW")
    return new HoopishError("headers_too_large", "the request's head is too large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new HoopishError("request_timeout", "the request's head came too slowly");
  return new HoopishError("bad_request", "that is not a valid HTTP request", { cause: error });
}

/** What stands for a request that could not be parsed. */
function unparsed(session: Session, answer: AnswerSink): Exchange {
  const body = {
    arrived: () => Promise.resolve(Buffer.alloc(0)),
    prefix: () => Promise.resolve({ bytes: Buffer.alloc(0), ended: true }),
    rest: () => noChunks(),
    trailers: [],
  };
  return new HttpExchange(session, { method: "-", path: "-", query: "", headers: [], length: 0 }, body, answer);
}

async function* noChunks(): AsyncGenerator<Buffer> {}

/** Answers where no ServerResponse exists: one refusal, written by hand, then the end of the connection. */
class WireSink implements AnswerSink {
  readonly #socket: Duplex;
  readonly #session: Session;
  readonly #mayWrite: boolean;
  readonly headSent = false;

  constructor(socket: Duplex, session: Session, mayWrite: boolean) {
    this.#socket = socket;
    this.#session = session;
    this.#mayWrite = mayWrite;
  }

  onGone(): void {}
  onDrain(): void {}
  head(): void {}
  end(): void {}
  write(): boolean {
    return true;
  }

  whole(head: AnswerHead, body: Buffer | undefined): void {
    if (!this.#mayWrite || !this.#socket.writable) {
      this.#socket.destroy();
      return;
    }
    let text = `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? ""}\r\n`;
    for (let i = 0; i + 1 < head.headers.length; i += 2) text += `${head.headers[i]}: ${head.headers[i + 1]}\r\n`;
    this.#socket.end(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), body ?? Buffer.alloc(0)]));
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer } {
    const { type, body } = refusalBody(this.#session.connection.api, error);
    const headers = ["content-type", type, "content-length", String(body.length), "connection", "close"];
    return { head: { status: error.shape.http, headers }, body };
  }

  cut(): void {
    this.#socket.destroy();
  }

  cutSoon(): void {
    this.#socket.destroy();
  }
}

/** Node ends a connection that is to close through `destroySoon`: the answer goes out whole, then the line is cut. */
function lingerOnClose(stream: Duplex): void {
  Object.assign(stream, {
    destroySoon: () => {
      stream.end();
      setTimeout(() => stream.destroy(), LINGER_MS).unref();
    },
  });
}

function closeServer(server: Server): void {
  server.close(() => undefined);
  server.closeAllConnections();
}
