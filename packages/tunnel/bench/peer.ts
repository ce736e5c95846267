/** The far side of the benchmarks, in a process of its own: a server that accepts tunnels and answers streams. */
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { attachUpgrade, type TunnelLimits, type TunnelStream, toDuplex } from "@hoopish/tunnel";

const BLOCK = Buffer.alloc(64 * 1024, 0x61);
const ANSWER = Buffer.from(JSON.stringify({ answer: "x".repeat(180) }));
const limits: Partial<TunnelLimits> = { opensPerSecond: 1e6, opensBurst: 1e6 };

const http = createServer((request, response) => {
  request.resume();
  request.on("end", () => response.end(ANSWER));
});
http.keepAliveTimeout = 0;

/** `stream.headers.do` says what is wanted. */
function serve(stream: TunnelStream): void {
  switch (stream.headers.do) {
    case "http":
      http.emit("connection", toDuplex(stream));
      break;
    case "source":
      source(stream, Number(stream.headers.bytes));
      break;
    case "sink":
      sink(stream);
      break;
    case "tokens":
      tokens(stream, Number(stream.headers.everyMs), Number(stream.headers.count));
      break;
    default:
      answer(stream);
  }
}

function answer(stream: TunnelStream): void {
  stream.handler = {
    onData: (chunk) => stream.consumed(chunk.length),
    onEnd: () => {
      stream.sendHeaders({ status: 200, headers: { "content-type": "application/json" } });
      stream.end(ANSWER);
    },
    onReset: () => {},
  };
}

function source(stream: TunnelStream, bytes: number): void {
  let left = bytes;
  const fill = () => {
    while (left > 0) {
      left -= BLOCK.length;
      if (!stream.write(BLOCK)) return;
    }
    stream.end();
  };
  stream.handler = { onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: fill };
  fill();
}

function sink(stream: TunnelStream): void {
  let bytes = 0;
  stream.handler = {
    onData: (chunk) => {
      bytes += chunk.length;
      stream.consumed(chunk.length);
    },
    onEnd: () => stream.end(Buffer.from(String(bytes))),
    onReset: () => {},
  };
}

/** Tokens that carry the time at which they were written. */
function tokens(stream: TunnelStream, everyMs: number, count: number): void {
  stream.handler = { onData: () => {}, onEnd: () => {}, onReset: () => clearInterval(timer) };
  let sent = 0;
  const timer = setInterval(() => {
    stream.write(Buffer.from(`${performance.timeOrigin + performance.now()}\n`));
    sent += 1;
    if (sent < count) return;
    clearInterval(timer);
    stream.end();
  }, everyMs);
}

const server = createServer();
attachUpgrade(server, { "/tunnel": () => ({ accept: { onStream: serve, limits } }) });
const echo = createTcpServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("error", () => {});
});
const listen = (target: Server) => new Promise<void>((listening) => target.listen(0, "127.0.0.1", listening));
await Promise.all([listen(server), listen(echo)]);
const portOf = (target: Server) => (target.address() as AddressInfo).port;
process.send?.({ port: portOf(server), floorPort: portOf(echo) });
process.on("message", (message) => {
  if (message === "cpu") process.send?.({ cpu: process.cpuUsage() });
});
process.on("disconnect", () => process.exit(0));
