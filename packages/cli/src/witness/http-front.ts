import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HoopishError } from "@hoopish/protocol";
import type { Answer } from "./witness.ts";

/** The witness as HTTP sees it. */
export interface Interior {
  /** Synchronous, so that requests are judged one after the other. */
  add(body: Buffer): Answer;
  newest(originHash: string): Answer;
}

/** A checkpoint has 300 bytes, a proof at most 63 lines of 45: more than this is no request. */
const MAX_BODY_BYTES = 65_536;
const MAX_CONNECTIONS = 256;
/** For a whole request, head and body, unless told otherwise. */
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** For what is being answered when the witness ends. */
const CLOSE_MS = 2_000;

/** Where a witness is reached. Plain http: a proxy in front has the certificate, where it leaves the machine. */
export interface HttpFront {
  readonly url: string;
  /** Nobody new; who is being answered is, then it is closed. */
  close(): Promise<void>;
}

/** @throws HoopishError conflict or configuration when it cannot listen */
export async function openHttpFront(
  interior: Interior,
  host: string,
  port: number,
  requestMs: number = REQUEST_MS,
): Promise<HttpFront> {
  const server = createServer({
    maxHeaderSize: 8_192,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // How often the two limits above are looked at.
    connectionsCheckingInterval: requestMs / 10,
  });
  server.maxConnections = MAX_CONNECTIONS;
  let closing = false;
  server.on("request", (request, response) => {
    // A connection that stays open would hold up the end; whoever sends may have begun before it.
    response.on("finish", () => {
      if (closing) request.socket.end();
    });
    respond(interior, request, response).catch(() => response.destroy());
  });
  await listen(server, host, port);
  const { port: actual, family, address } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${actual}`,
    close: () =>
      new Promise((resolve) => {
        closing = true;
        const late = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === "EADDRINUSE";
      const message = taken ? `port ${port} is taken` : `cannot listen on ${host}:${port} (${cause.code ?? "unknown"})`;
      reject(
        new HoopishError(taken ? "conflict" : "configuration", message, { hint: "--listen 127.0.0.1:8460", cause }),
      );
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

async function respond(interior: Interior, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url } = request;
  const [, originHash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(url ?? "") ?? [];
  if (url === "/add-checkpoint" && method === "POST") {
    const body = await readBody(request);
    if (body === undefined) return refuseRest(response, 413, "too large\n");
    return send(response, interior.add(body));
  }
  if (originHash !== undefined && (method === "GET" || method === "HEAD"))
    return send(response, interior.newest(originHash));
  const known = url === "/add-checkpoint" || originHash !== undefined;
  return refuseRest(response, known ? 405 : 404, known ? "another method\n" : "not found\n");
}

/** @returns undefined when there is more than a request can have */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > MAX_BODY_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed by leaving the loop: the answer goes out on its socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
}

/** What is still to come of the request is not read: the connection ends with the answer. */
function refuseRest(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" }).end(body);
}
