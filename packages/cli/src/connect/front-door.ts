import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { ERROR_SHAPES, type ErrorCode, HoopishError } from "@hoopish/protocol";
import { beginningOf, postgresRefusal } from "./first-bytes.ts";
import { type GuardRules, HeadGuard, TOO_SLOW } from "./guard.ts";

/** How long a client has for its first head. */
const HEAD_MS = 10_000;
/** How long a connection that comes while the tunnel is down waits for the next one. */
const TUNNEL_MS = 10_000;
/** A laptop's programs never come near; a program that opens connections without end meets it. */
const MAX_SOCKETS = 1_024;

/** Behind the door: where a connection that has passed the guard goes. */
export interface Interior {
  /** Takes the socket, now. False: the tunnel is down, or takes no new streams at this moment. */
  enter(socket: Socket, first: Buffer): boolean;
  /** Settles when `enter` may be tried again; rejects when it never may, or with the signal's reason. */
  opened(signal: AbortSignal): Promise<void>;
}

export interface FrontDoorLimits {
  readonly headMs: number;
  readonly tunnelMs: number;
}

/** One connection's local port: accepts, checks the first head, and hands over. */
export class FrontDoor {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #closing = new AbortController();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /**
   * Listens on 127.0.0.1 and nowhere else.
   * @param port 0: any free one
   * @throws HoopishError conflict when the port is taken: another one is never chosen silently, since programs and
   * notebooks would go on sending to whoever has the old one
   */
  static async open(name: string, port: number): Promise<FrontDoor> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.maxConnections = MAX_SOCKETS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(name, port, error)));
      server.listen({ host: "127.0.0.1", port, exclusive: true }, resolve);
    });
    const address = server.address();
    const door = new FrontDoor(server, typeof address === "object" && address !== null ? address.port : port);
    // Until there is somewhere to go, whoever comes waits in the kernel's queue or here, unread.
    server.on("connection", (socket) => door.#track(socket));
    return door;
  }

  /** From now on connections go to `interior`. */
  receive(interior: Interior, rules: Omit<GuardRules, "port">, limits: Partial<FrontDoorLimits> = {}): void {
    const { headMs = HEAD_MS, tunnelMs = TUNNEL_MS } = limits;
    const admit = (socket: Socket): void => {
      this.#readHead(socket, { ...rules, port: this.port }, headMs, (first) => {
        if (!enter(interior, socket, first)) void this.#waitOutside(socket, first, interior, tunnelMs);
      });
    };
    for (const socket of this.#sockets) admit(socket);
    this.#server.on("connection", admit);
  }

  /** No new connections; the present ones are reset. */
  close(): void {
    this.#closing.abort();
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // What broke shows in 'close', where the relay sees it.
    socket.on("error", () => {});
  }

  #readHead(socket: Socket, rules: GuardRules, headMs: number, pass: (first: Buffer) => void): void {
    const guard = new HeadGuard(rules);
    const stop = (): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off("data", onData);
      socket.off("end", onEnd);
      socket.off("close", stop);
    };
    const onData = (chunk: Buffer): void => {
      const verdict = guard.push(chunk);
      if (verdict.kind === "more") return;
      stop();
      if (verdict.kind === "pass") pass(verdict.bytes);
      else refuse(socket, verdict.status, verdict.code, verdict.message);
    };
    const onEnd = (): void => {
      stop();
      socket.destroy();
    };
    const timer = setTimeout(() => {
      stop();
      refuse(socket, TOO_SLOW.status, TOO_SLOW.code, TOO_SLOW.message);
    }, headMs);
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("close", stop);
  }

  async #waitOutside(socket: Socket, first: Buffer, interior: Interior, tunnelMs: number): Promise<void> {
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    socket.once("close", onClose);
    const signal = AbortSignal.any([gone.signal, this.#closing.signal, AbortSignal.timeout(tunnelMs)]);
    try {
      do await interior.opened(signal);
      while (!socket.destroyed && !enter(interior, socket, first));
    } catch {
      if (!socket.destroyed) refuseFirst(socket, first, "hoopish has no connection to its server at this moment");
    } finally {
      socket.off("close", onClose);
    }
  }
}

function enter(interior: Interior, socket: Socket, first: Buffer): boolean {
  return socket.destroyed || interior.enter(socket, first);
}

/** Says it in the protocol that the client has begun to speak. */
function refuseFirst(socket: Socket, first: Buffer, message: string): void {
  switch (beginningOf(first)) {
    case "postgres":
      socket.end(postgresRefusal(message));
      return;
    case "http2":
      // A client of gRPC takes a connection that closes for UNAVAILABLE, and tries again.
      socket.destroy();
      return;
    default:
      refuse(socket, 503, "unreachable", message);
  }
}

/**
 * Answers in the shape that OpenAI's clients read and any other can, and closes. What the client still sends is read
 * and thrown away for a moment: a close with bytes unread is a reset, which would take the answer with it.
 */
function refuse(socket: Socket, status: number, code: ErrorCode, message: string): void {
  const error = { message, type: "hoopish_error", param: null, code };
  const body = JSON.stringify({ error });
  const retry = ERROR_SHAPES[code].retryable ? "retry-after: 1\r\n" : "";
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${retry}connection: close\r\n\r\n`;
  const giveUp = setTimeout(() => socket.destroy(), 1_000);
  socket.once("close", () => clearTimeout(giveUp));
  socket.on("data", () => {});
  socket.end(head + body);
  socket.resume();
}

function cannotListen(name: string, port: number, cause: NodeJS.ErrnoException): HoopishError {
  if (cause.code === "EADDRINUSE") {
    return new HoopishError("conflict", `port ${port} on 127.0.0.1, for ${name}, is taken by another program`, {
      hint: "end that program (is it another hoopish connect?), or choose: --port N, or --port 0 for any free one",
      cause,
    });
  }
  return new HoopishError("conflict", `hoopish cannot listen on 127.0.0.1:${port}: ${cause.message}`, {
    hint: "choose another with --port N, 1024 or higher",
    cause,
  });
}
