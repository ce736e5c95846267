import { Buffer } from "node:buffer";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { isIP, connect as netConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { MAX_MESSAGE_BYTES } from "@hoopish/protocol";
import { WebSocket } from "ws";
import { refusalError, TunnelDialError, toDialError } from "./dial-error.ts";
import { SUBPROTOCOL } from "./limits.ts";
import { connectThroughProxy } from "./proxy.ts";
import { Tunnel, type TunnelOptions } from "./tunnel.ts";

type Pem = string | Buffer;

export interface DialOptions extends TunnelOptions {
  /** Sent with the upgrade request, `authorization` for instance. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A proxy to CONNECT through, http: or https:, userinfo as Basic credentials; see `proxyFor`. */
  readonly proxy?: string | URL | undefined;
  /** Certification authorities to trust instead of the system's and those of NODE_EXTRA_CA_CERTS. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** Client certificate and its key. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
  /** From the call until the tunnel is open, milliseconds; default 15 000. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Gives up the dial. It has no effect on a tunnel that is open. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a tunnel to a server (ws:, wss:, http: or https: URL), through a proxy if one is given.
 * @throws {TunnelDialError} and nothing else.
 */
export async function dialTunnel(url: string | URL, options: DialOptions = {}): Promise<Tunnel> {
  const giveUp = new AbortController();
  const onAbort = () =>
    giveUp.abort(new TunnelDialError({ code: "aborted", message: "the dial was given up", fatal: true }));
  const timeoutMs = options.handshakeTimeoutMs ?? 15_000;
  const timer = setTimeout(() => {
    const message = `no tunnel within ${timeoutMs} ms`;
    giveUp.abort(new TunnelDialError({ code: "timeout", message, fatal: false }));
  }, timeoutMs);
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  let socket: Socket | undefined;
  try {
    const target = new URL(url);
    socket = await connectSocket(target, options, giveUp.signal);
    return await handshake(target, socket, options, giveUp.signal);
  } catch (error) {
    socket?.destroy();
    throw giveUp.signal.aborted ? giveUp.signal.reason : toDialError(error);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

async function connectSocket(target: URL, options: DialOptions, signal: AbortSignal): Promise<Socket> {
  const secure = target.protocol === "wss:" || target.protocol === "https:";
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const port = Number(target.port || (secure ? 443 : 80));
  signal.throwIfAborted();
  const socket =
    options.proxy === undefined
      ? await connected(netConnect({ host, port }), "connect", signal)
      : await connectThroughProxy(new URL(options.proxy), host, port, signal);
  socket.setNoDelay(true);
  if (!secure) return socket;
  // The TLS socket tells of what breaks beneath it.
  socket.on("error", () => {});
  const { ca, cert, key } = options;
  const tls = tlsConnect({
    socket,
    ALPNProtocols: ["http/1.1"],
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    ...(ca === undefined ? {} : { ca: [ca].flat() as Pem[] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
  return connected(tls, "secureConnect", signal);
}

async function connected<S extends Socket>(socket: S, event: string, signal: AbortSignal): Promise<S> {
  try {
    await once(socket, event, { signal });
    return socket;
  } catch (error) {
    // An error may still follow the one that rejected.
    socket.on("error", () => {});
    socket.destroy();
    throw error;
  }
}

function handshake(target: URL, socket: Socket, options: DialOptions, signal: AbortSignal): Promise<Tunnel> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(target, SUBPROTOCOL, {
      createConnection: () => socket,
      headers: { ...options.headers },
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      // A peer that does not answer a close is not waited for; ws has this option, its types do not.
      ...{ closeTimeout: 5_000 },
    });
    const onAbort = () => ws.terminate();
    signal.addEventListener("abort", onAbort, { once: true });
    ws.once("open", () => {
      signal.removeEventListener("abort", onAbort);
      ws.off("error", reject);
      // In this very turn: the server's SETTINGS may have come with the handshake.
      resolve(new Tunnel(ws, socket, "dialler", options));
    });
    ws.on("error", reject);
    ws.once("unexpected-response", (_request, response: IncomingMessage) => {
      readRefusal(response).then(reject, reject);
    });
  });
}

const MAX_REFUSAL_BYTES = 16 * 1024;

/** A refusal in HTTP: the status decides whether to try again, the body's `error` says why. */
async function readRefusal(response: IncomingMessage): Promise<TunnelDialError> {
  const status = response.statusCode ?? 0;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REFUSAL_BYTES) break;
    chunks.push(chunk);
  }
  return refusalError(status, response.headers["retry-after"], Buffer.concat(chunks));
}
