import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import type { ConnectionConfig } from "../../config/config.ts";
import { send } from "../../testing/call.ts";
import { connectionTo, openPair, type TunnelPair } from "../../testing/tunnel-pair.ts";

/** Why a call of gRPC had no answer, in the words that calls of HTTP have for it. */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
async function pairTo(url: string, over: Partial<ConnectionConfig> = {}): Promise<TunnelPair> {
  const pair = await openPair([connectionTo(url, over)]);
  closing.push(pair.close);
  return pair;
}
/** A port at which this is done with every connection. */
async function port(each: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    each(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}
const CALL = { method: "POST", path: "/a.B/C", headers: ["content-type", "application/grpc"], body: "\0\0\0\0\0" };

it("a refused connection says so", async () => {
  const server = createHttp2();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const gone = (server.address() as AddressInfo).port;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const { server: tunnel, log } = await pairTo(`grpc://127.0.0.1:${gone}`);
  const { error } = await send(tunnel, CALL);
  expect(error).toEqual({ code: "upstream_failed", message: "the model server refuses connections" });
  expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { detail: "ECONNREFUSED" } });
});

it("an unknown name says so", async () => {
  const { server } = await pairTo("grpc://no-such-host.invalid:1");
  expect((await send(server, CALL)).error).toMatchObject({
    code: "upstream_failed",
    message: "the model server's name cannot be resolved",
  });
});

it("a connection that is closed before it stands says so", async () => {
  const { server } = await pairTo(`grpc://127.0.0.1:${await port((socket) => socket.resetAndDestroy())}`);
  expect((await send(server, CALL)).error).toEqual({
    code: "upstream_failed",
    message: "the model server closed the connection",
  });
});

it("a port without TLS says so", async () => {
  const { server } = await pairTo(`grpcs://127.0.0.1:${await port((socket) => void socket.write("no TLS here\n"))}`);
  expect((await send(server, CALL)).error).toEqual({
    code: "upstream_failed",
    message: "TLS with the model server failed",
  });
});

it("a connection that does not come to stand in time is late", async () => {
  const { server } = await pairTo(`grpcs://127.0.0.1:${await port(() => undefined)}`, { connectTimeoutMs: 200 });
  expect((await send(server, CALL)).error).toMatchObject({ code: "upstream_timeout" });
});
