import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { TunnelStream } from "./api.ts";
import { relaySocket } from "./relay-socket.ts";
import { startTunnel, type TestTunnel } from "./test-server.ts";
import { Wire } from "./test-wire.ts";

interface Forward extends AsyncDisposable {
  readonly tunnel: TestTunnel;
  connect(): Socket;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

/** A local port whose connections go through a tunnel to `target`, as with the CLI and a model server. */
async function forward(target: (socket: Socket) => void): Promise<Forward> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  };
  const far = createServer({ allowHalfOpen: true }, (socket) => {
    track(socket);
    target(socket);
  });
  const farPort = await listen(far);
  const tunnel = await startTunnel({
    onStream: (stream) => relaySocket(stream, connect({ port: farPort, host: "127.0.0.1", allowHalfOpen: true })),
  });
  const near = createServer({ allowHalfOpen: true }, (socket) => relaySocket(tunnel.dialler.open({}), socket));
  const port = await listen(near);
  return {
    tunnel,
    connect: () => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      track(socket);
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      near.close();
      far.close();
      await tunnel[Symbol.asyncDispose]();
    },
  };
}

test("half-close goes through, both streams and sockets end", async () => {
  await using port = await forward(async (socket) => {
    socket.end(`answer to ${await text(socket)}`);
  });
  const socket = port.connect();
  socket.end("everything");
  expect(await text(socket)).toBe("answer to everything");
  await vi.waitFor(() => expect(port.tunnel.dialler.streamCount + port.tunnel.acceptor.streamCount).toBe(0));
});

test("what was read from a socket arrives even if the socket has closed before there was credit for it", async () => {
  const wire = new Wire();
  wire.acceptor.greedy = false;
  const stream = wire.dialler.open();
  wire.settle();
  const served = wire.acceptor.accepted[0] as TunnelStream;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    relaySocket(stream, socket);
    served.end();
  });
  const program = connect({ port: await listen(server), host: "127.0.0.1", allowHalfOpen: true });
  program.resume();
  program.end(Buffer.alloc(300_000));
  const settled = setInterval(() => wire.settle(), 1);
  await once(program, "close");
  await delay(20);
  expect(wire.acceptor.recorder(1).bytes).toBe(256 * 1024);
  served.consumed(256 * 1024);
  await vi.waitFor(() => expect(wire.acceptor.recorder(1)).toMatchObject({ bytes: 300_000, ended: true }));
  clearInterval(settled);
  server.close();
});

test("20 MB both ways at once, intact", async () => {
  await using port = await forward((socket) => socket.pipe(socket));
  const socket = port.connect();
  const body = Buffer.alloc(20_000_000, "0123456789abcdef!");
  socket.end(body);
  expect((await buffer(socket)).equals(body)).toBe(true);
});

test("a program that does not read stops the other side", async () => {
  let written = 0;
  await using port = await forward((socket) => {
    const block = Buffer.alloc(64 * 1024);
    const fill = () => {
      while (!socket.destroyed && socket.write(block)) written += block.length;
      written += block.length;
    };
    socket.on("drain", fill);
    fill();
  });
  const socket = port.connect();
  await once(socket, "connect");
  socket.pause();
  let before = -1;
  await vi.waitFor(
    async () => {
      before = written;
      await delay(200);
      expect(written).toBe(before);
    },
    { timeout: 10_000 },
  );
  // The kernel's buffers of three sockets are most of it; what the tunnel holds is bounded.
  expect(port.tunnel.acceptor.bufferedBytes).toBeLessThan(512 * 1024);
});

test("a model server that dies is a reset for the program, not an end", async () => {
  await using port = await forward((socket) => {
    socket.write("half of the ans");
    setTimeout(() => socket.resetAndDestroy(), 20);
  });
  const socket = port.connect();
  await expect(text(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
});

test("a program that leaves resets the stream at once", async () => {
  const gone = Promise.withResolvers<void>();
  await using port = await forward((socket) => {
    socket.resume();
    socket.on("close", () => gone.resolve());
  });
  const socket = port.connect();
  socket.write("question");
  await vi.waitFor(() => expect(port.tunnel.acceptor.streamCount).toBe(1));
  socket.resetAndDestroy();
  await gone.promise;
  await vi.waitFor(() => expect(port.tunnel.acceptor.streamCount).toBe(0));
});
