import type { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import type { Duplex } from "node:stream";
import { RemoteProtocolError, TunnelErrorCode } from "@hoopish/protocol";
import type { WebSocket } from "ws";
import type { OpenOptions, StreamHandler, TunnelStream } from "./api.ts";
import { Connection, type ConnectionEvents, type ConnectionState } from "./connection.ts";
import { ACCEPTOR_LIMITS, DIALLER_LIMITS, type TunnelLimits } from "./limits.ts";
import type { Stream } from "./stream.ts";
import { readMessages } from "./websocket-reader.ts";
import { WebSocketWriter } from "./websocket-writer.ts";

/**
 * While the socket holds this much, nothing more is put into it: what is in it goes before every other stream. Not below
 * the socket's own high-water mark, because under that it does not say when it has drained.
 */
const SOCKET_BYTES = 128 * 1024;
/** DATA handed over in one go, and how many goes before other events have their turn. */
const PULL_BYTES = 128 * 1024;
const PULLS_A_TURN = 4;

export interface TunnelCloseInfo {
  /** WebSocket close code (RFC 6455 section 7.4.1); 1006 if the socket broke. */
  readonly code: number;
  readonly reason: string;
  /** RemoteProtocolError: the peer broke the rules. TunnelDeadError: it went silent. A socket's error. Absent: orderly. */
  readonly error?: Error;
}

export interface TunnelOptions {
  /** The peer opened a stream: set `stream.handler` before returning, or reset it. Absent: such streams are refused. */
  readonly onStream?: ((stream: TunnelStream, endStream: boolean) => void) | undefined;
  readonly onClose?: ((info: TunnelCloseInfo) => void) | undefined;
  /** No stream can be opened here any more (a GOAWAY went either way): dial another tunnel. Streams under way finish. */
  readonly onDraining?: ((debug: string) => void) | undefined;
  /** A handler threw, and its stream was reset with INTERNAL_ERROR. Absent: the error is thrown as uncaught. */
  readonly onHandlerError?: ((error: unknown, stream: TunnelStream) => void) | undefined;
  readonly limits?: Partial<TunnelLimits> | undefined;
  /** Between PINGs, milliseconds; default 15 000. The peer is dead after two silent intervals. */
  readonly pingIntervalMs?: number | undefined;
}

/** The peer sent nothing for two keep-alive intervals. */
export class TunnelDeadError extends Error {
  override readonly name = "TunnelDeadError";
}

/** WebSocket close codes, RFC 6455 section 7.4.1. */
const CLOSE_NORMAL = 1000;
const CLOSE_PROTOCOL_ERROR = 1002;

/** One tunnel over one open WebSocket: the I/O around a {@link Connection}. Made by `acceptTunnel` or `dialTunnel`. */
export class Tunnel {
  /** Settles when the tunnel is closed; never rejects. */
  readonly closed: Promise<TunnelCloseInfo>;
  /** Settles when no stream can be opened here any more: a GOAWAY went either way. */
  readonly draining: Promise<void>;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #options: TunnelOptions;
  readonly #core: Connection;
  readonly #writer: WebSocketWriter;
  readonly #keepalive: NodeJS.Timeout;
  readonly #flushSoon: () => void;
  readonly #socketBytes: number;
  #flushScheduled = false;
  #error: Error | undefined = undefined;
  #settle: (info: TunnelCloseInfo) => void = () => {};
  #drain: () => void = () => {};

  /**
   * Takes over an open `ws` and the socket beneath it. Call it in the same turn in which the WebSocket opened: messages
   * that arrive before are lost. `role` decides the stream ids and whether frames are masked.
   */
  constructor(ws: WebSocket, socket: Duplex, role: "dialler" | "acceptor", options: TunnelOptions) {
    this.#ws = ws;
    this.#socket = socket;
    this.#options = options;
    this.#socketBytes = Math.max(SOCKET_BYTES, socket.writableHighWaterMark);
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.draining = new Promise((resolve) => {
      this.#drain = resolve;
    });
    this.#writer = new WebSocketWriter(role === "dialler");
    this.#flushSoon = () => this.#flush();
    const limits = { ...(role === "dialler" ? DIALLER_LIMITS : ACCEPTOR_LIMITS), ...options.limits };
    this.#core = new Connection(role, limits, this.#events());
    this.#keepalive = setInterval(() => this.#tick(), options.pingIntervalMs ?? 15_000).unref();
    readMessages(socket, role === "acceptor", (message) => this.#receive(message, true));
    // What the short way does not take.
    ws.on("message", (message: Buffer, isBinary: boolean) => this.#receive(message, isBinary));
    // ws closes by itself after an error; the streams need not wait for the closing handshake.
    ws.on("error", (error: Error) => this.#failed(error));
    ws.on("close", (code: number, reason: Buffer) => this.#onClose(code, reason.toString()));
    socket.on("drain", this.#flushSoon);
    // A second reset of the connection may come after ws has let go of the socket.
    socket.on("error", (error: Error) => this.#failed(error));
  }

  get state(): ConnectionState {
    return this.#core.state;
  }

  /** Shortest round trip so far, milliseconds; undefined until the first PING is answered. */
  get rttMs(): number | undefined {
    return this.#core.keepalive.minRttMs;
  }

  get streamCount(): number {
    return this.#core.table.size;
  }

  /** Bytes that streams have queued plus bytes in the socket's own buffer. */
  get bufferedBytes(): number {
    return this.#core.queuedBytes + this.#socket.writableLength;
  }

  /**
   * Opens a stream. Give the handler here or set `stream.handler` in the same turn.
   * @throws {TunnelOpenError} closed, draining or too many streams: another tunnel may be tried.
   * @throws {RangeError} headers over 64 KiB.
   */
  open(headers: object, handler?: StreamHandler, options?: OpenOptions): TunnelStream {
    return this.#core.open(headers, handler, options);
  }

  /** Graceful end: no new streams either way, those under way finish, then the tunnel closes. */
  goAway(reason: string = ""): void {
    this.#core.goAway(reason);
  }

  /** Ends now: every stream is over, GOAWAY, then the WebSocket's closing handshake. */
  close(code: number = CLOSE_NORMAL, reason: string = ""): void {
    if (this.#core.state !== "closed") this.#end(TunnelErrorCode.NO_ERROR, reason, undefined, code);
  }

  /** Ends now, without a word to the peer. */
  terminate(): void {
    this.#core.shutdown("terminated");
    this.#ws.terminate();
  }

  #events(): ConnectionEvents {
    const options = this.#options;
    return {
      onStream: (stream, endStream) => {
        if (options.onStream === undefined) stream.reset(TunnelErrorCode.REFUSED_STREAM);
        else options.onStream(stream, endStream);
      },
      onDraining: (debug) => {
        this.#drain();
        options.onDraining?.(debug);
      },
      // Later, because it is called from within the core, which may have more to do.
      onDrained: () => setImmediate(() => this.close(CLOSE_NORMAL, "drained")),
      onOutput: () => this.#schedule(),
      onHandlerError: (error, stream) => this.#handlerError(error, stream),
    };
  }

  #handlerError(error: unknown, stream: Stream): void {
    const { onHandlerError } = this.#options;
    if (onHandlerError !== undefined) onHandlerError(error, stream);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #receive(message: Buffer, isBinary: boolean): void {
    try {
      if (!isBinary) throw new RemoteProtocolError(TunnelErrorCode.PROTOCOL_ERROR, "a text message");
      this.#core.receive(message, performance.now());
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      this.#end(error.code, error.message, error, CLOSE_PROTOCOL_ERROR);
    }
  }

  /**
   * Everything that one turn of the event loop writes leaves together: an immediate runs after all sockets that were
   * readable in this turn have had their say, and before the loop sleeps.
   */
  #schedule(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.#flushSoon);
  }

  #flush(): void {
    this.#flushScheduled = false;
    const core = this.#core;
    const socket = this.#socket;
    for (let pulls = 0; core.hasOutput && socket.writableLength < this.#socketBytes; pulls++) {
      if (!socket.writable) return;
      if (pulls === PULLS_A_TURN) {
        this.#schedule();
        return;
      }
      core.pull(this.#writer, performance.now(), PULL_BYTES);
      this.#writer.flush(socket);
    }
  }

  #tick(): void {
    if (this.#core.tick()) return;
    this.#error ??= new TunnelDeadError("the peer has been silent for two keep-alive intervals");
    this.terminate();
  }

  #end(code: TunnelErrorCode, debug: string, error: Error | undefined, closeCode: number): void {
    this.#error ??= error;
    this.#core.abort(code, debug, error);
    this.#flush();
    // The WebSocket allows 123 bytes; the GOAWAY has carried the whole text.
    this.#ws.close(closeCode, debug.slice(0, 40));
  }

  #failed(error: Error): void {
    this.#error ??= error;
    this.#core.shutdown(error.message, error);
  }

  #onClose(code: number, reason: string): void {
    clearInterval(this.#keepalive);
    const error = this.#error;
    this.#core.shutdown(reason === "" ? `the tunnel closed (${code})` : reason, error);
    const info = error === undefined ? { code, reason } : { code, reason, error };
    this.#settle(info);
    this.#options.onClose?.(info);
  }
}

/** Makes a tunnel of a WebSocket that a server accepted, and the socket that the upgrade came on. */
export function acceptTunnel(ws: WebSocket, socket: Duplex, options: TunnelOptions): Tunnel {
  return new Tunnel(ws, socket, "acceptor", options);
}
