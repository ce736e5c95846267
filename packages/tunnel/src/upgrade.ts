import { Buffer } from "node:buffer";
import { type Server as HttpServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { MAX_MESSAGE_BYTES } from "@hoopish/protocol";
import { WebSocketServer } from "ws";
import { SUBPROTOCOL } from "./limits.ts";
import { acceptTunnel, type Tunnel, type TunnelOptions } from "./tunnel.ts";

/** A refusal, answered as HTTP before the upgrade. `body` is sent as JSON; an `{error: {code, message}}` reaches the dialler's TunnelDialError. */
export interface UpgradeRejection {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a route decides about an upgrade request. */
export type UpgradeDecision =
  | { readonly accept: TunnelOptions; readonly onTunnel?: (tunnel: Tunnel) => void }
  | { readonly reject: UpgradeRejection };

/** Authorises one upgrade request. `signal` aborts when the client has gone or `authorizeTimeoutMs` is over. */
export type UpgradeRoute = (
  request: IncomingMessage,
  signal: AbortSignal,
) => UpgradeDecision | Promise<UpgradeDecision>;

export interface UpgradeOptions {
  /** How long a route may take, milliseconds; default 15 000. Then the answer is 503. */
  readonly authorizeTimeoutMs?: number;
  /** A route or `onTunnel` threw; the client learns nothing of what. Absent: thrown as uncaught. */
  readonly onRouteError?: (error: unknown) => void;
}

export interface UpgradeHandle {
  readonly tunnels: ReadonlySet<Tunnel>;
  /** GOAWAY to every tunnel; from now on upgrades are refused with 503 `server_draining`. */
  drain(reason?: string): void;
  /** Drains, and closes every tunnel at once. */
  close(reason?: string): void;
}

/**
 * Takes the `upgrade` event of an HTTP server and makes tunnels of the requests to the paths in `routes` (exact match,
 * query ignored). What is not a WebSocket of the subprotocol, or not authorised, gets an HTTP answer and no upgrade.
 */
export function attachUpgrade(
  server: HttpServer | HttpsServer,
  routes: Readonly<Record<string, UpgradeRoute>>,
  options: UpgradeOptions = {},
): UpgradeHandle {
  const tunnels = new Set<Tunnel>();
  let draining = false;
  const handshake = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => SUBPROTOCOL,
    // A peer that does not answer a close is not waited for; ws has this option, its types do not.
    ...{ closeTimeout: 5_000 },
  });

  const report = (error: unknown) => {
    if (options.onRouteError === undefined) queueMicrotask(() => rethrow(error));
    else options.onRouteError(error);
  };
  const accept = (request: IncomingMessage, socket: Duplex, head: Buffer, decision: UpgradeDecision) => {
    if ("reject" in decision) {
      refuse(socket, decision.reject);
      return;
    }
    handshake.handleUpgrade(request, socket, head, (ws) => {
      // In this very turn: a message that comes with the handshake must find its listener.
      const tunnel = acceptTunnel(ws, socket, decision.accept);
      tunnels.add(tunnel);
      tunnel.closed.then(() => tunnels.delete(tunnel));
      try {
        decision.onTunnel?.(tunnel);
      } catch (error) {
        tunnel.close(1011, "internal error");
        report(error);
      }
    });
  };

  const onUpgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // One controller for both ends of the wait, and no AbortSignal.any: a signal made of others can be collected unfired.
    const wait = new AbortController();
    const onGone = () => wait.abort(new Error("the client has gone"));
    for (const event of ["error", "end", "close"]) socket.on(event, onGone);
    const timer = setTimeout(() => wait.abort(TOO_SLOW), options.authorizeTimeoutMs ?? 15_000);
    try {
      const route = draining ? DRAINING : checkRequest(request, routes);
      const decision = typeof route === "function" ? await decide(route, request, wait.signal) : { reject: route };
      // An upgraded socket is nobody's but ours: left half open it would stay for ever.
      if (wait.signal.aborted && wait.signal.reason !== TOO_SLOW) socket.destroy();
      else accept(request, socket, head, draining ? { reject: DRAINING } : decision);
    } catch (error) {
      refuse(socket, rejection(500, "internal", "the upgrade could not be handled"));
      report(error);
    } finally {
      clearTimeout(timer);
      for (const event of ["end", "close"]) socket.off(event, onGone);
    }
  };
  server.on("upgrade", onUpgrade);

  const drain = (reason = "") => {
    draining = true;
    for (const tunnel of tunnels) tunnel.goAway(reason);
  };
  const close = (reason = "") => {
    drain(reason);
    for (const tunnel of tunnels) tunnel.close(1001, reason);
  };
  return { tunnels, drain, close };
}

const TOO_SLOW = rejection(503, "unreachable", "the authorisation took too long");
const DRAINING = rejection(503, "server_draining", "the server is stopping", { "retry-after": "1" });

/** The route, once the request is known to be one that a tunnel could come of. */
function checkRequest(
  request: IncomingMessage,
  routes: Readonly<Record<string, UpgradeRoute>>,
): UpgradeRoute | UpgradeRejection {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return rejection(404, "not_found", "no tunnel at this path");
  if (request.headers.upgrade?.toLowerCase() !== "websocket") {
    return rejection(426, "bad_request", "a tunnel is a WebSocket", { upgrade: "websocket" });
  }
  const offered = request.headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim());
  if (!offered?.includes(SUBPROTOCOL)) {
    return rejection(426, "bad_request", `the WebSocket subprotocol ${SUBPROTOCOL} is required`);
  }
  return route;
}

async function decide(route: UpgradeRoute, request: IncomingMessage, signal: AbortSignal): Promise<UpgradeDecision> {
  const aborted = new Promise<UpgradeDecision>((resolve) => {
    signal.addEventListener("abort", () => resolve({ reject: TOO_SLOW }), { once: true });
  });
  return Promise.race([route(request, signal), aborted]);
}

function rejection(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): UpgradeRejection {
  return { status, body: { error: { code, message } }, headers };
}

function refuse(socket: Duplex, { status, body, headers = {} }: UpgradeRejection): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const payload = Buffer.from(JSON.stringify(body));
  const lines = Object.entries({
    ...headers,
    connection: "close",
    "content-type": "application/json",
    "content-length": String(payload.length),
  }).map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, " ")}\r\n`);
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${payload}`);
}

function rethrow(error: unknown): never {
  throw error;
}
