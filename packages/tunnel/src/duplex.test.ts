import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Agent, createServer, request as httpRequest, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { type Duplex, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { TunnelErrorCode } from "@hoopish/protocol";
import { describe, expect, test, vi } from "vitest";
import type { TunnelStream } from "./api.ts";
import { toDuplex } from "./duplex.ts";
import type { StreamResetError } from "./errors.ts";
import { startTunnel, type TestTunnel } from "./test-server.ts";
import { End, Wire } from "./test-wire.ts";

interface Pair extends AsyncDisposable {
  readonly tunnel: TestTunnel;
  readonly near: Duplex;
  readonly far: Duplex;
  readonly nearStream: TunnelStream;
  readonly farStream: TunnelStream;
}

/** Both ends of one stream as duplexes. */
async function pair(): Promise<Pair> {
  const { promise, resolve } = Promise.withResolvers<[Duplex, TunnelStream]>();
  const tunnel = await startTunnel({ onStream: (stream) => resolve([toDuplex(stream), stream]) });
  const nearStream = tunnel.dialler.open({});
  const near = toDuplex(nearStream);
  const [far, farStream] = await promise;
  const dispose = () => {
    for (const duplex of [near, far]) duplex.on("error", () => {});
    return tunnel[Symbol.asyncDispose]();
  };
  return { tunnel, near, far, nearStream, farStream, [Symbol.asyncDispose]: dispose };
}

/** An http.Server that gets its connections from a tunnel; requests go in through the other end of it. */
async function httpOver(
  listener: RequestListener,
): Promise<TestTunnel & { server: unknown; http: Server; agent: Agent }> {
  const http = createServer(listener);
  const tunnel = await startTunnel({ onStream: (stream) => http.emit("connection", toDuplex(stream)) });
  const agent = new Agent({ keepAlive: true });
  Object.assign(agent, { createConnection: () => toDuplex(tunnel.dialler.open({})) });
  return Object.assign(tunnel, { http, agent });
}

describe("the two directions", () => {
  test("bytes, and each end for itself", async () => {
    await using streams = await pair();
    const { near, far } = streams;
    near.end("question");
    expect(await text(far)).toBe("question");
    expect(far.writable).toBe(true);
    far.write("ans");
    far.end("wer");
    expect(await text(near)).toBe("answer");
    await Promise.all([near, far].map((duplex) => duplex.closed || once(duplex, "close")));
    expect(streams.tunnel.dialler.streamCount + streams.tunnel.acceptor.streamCount).toBe(0);
  });

  test("a paused reader stops the writer, and all arrives when it goes on", async () => {
    await using streams = await pair();
    const { near, far } = streams;
    const sent = Buffer.alloc(3_000_000, "abcdefg");
    const done = once(Readable.from([sent]).pipe(near), "finish");
    await delay(100);
    expect(streams.farStream.state).toBe("open");
    expect(streams.nearStream.writableQueued).toBeGreaterThan(0);
    expect((await buffer(far)).equals(sent)).toBe(true);
    await done;
  });

  test("reading by hand returns credit, even when the stream asks for nothing more", async () => {
    await using streams = await pair();
    const { near, far } = streams;
    let got = 0;
    // Small reads out of a buffer that is seldom empty: _read is not called for most of them.
    far.on("readable", () => {
      for (let chunk = far.read(1000); chunk !== null; chunk = far.read(1000)) got += chunk.length;
    });
    near.end(Buffer.alloc(3_000_000));
    await once(far, "end");
    expect(got).toBe(3_000_000);
  });

  test("a reader that asks for more than one chunk has gets it when it has come", async () => {
    await using streams = await pair();
    const { near, far } = streams;
    let wanted: { size: number; resolve: (text: string) => void } | undefined;
    const tryRead = () => {
      const chunk = wanted && (far.read(wanted.size) as Buffer | null);
      if (chunk) wanted?.resolve(chunk.toString());
    };
    far.on("readable", tryRead);
    const read = (size: number) =>
      new Promise<string>((resolve) => {
        wanted = { size, resolve };
        tryRead();
      });
    near.write("abc");
    await delay(20);
    const first = read(5);
    near.write("de");
    expect(await first).toBe("abcde");
    const second = read(7);
    for (const byte of "1234567") {
      near.write(byte);
      await delay(2);
    }
    expect(await second).toBe("1234567");
  });

  test("destroy resets the stream, and the other side is destroyed with the reason", async () => {
    await using streams = await pair();
    streams.near.write("half of someth");
    streams.near.destroy();
    const [error] = (await once(streams.far, "error")) as [StreamResetError];
    expect(error).toMatchObject({ name: "StreamResetError", code: TunnelErrorCode.CANCEL, origin: "remote" });
    expect(streams.far.destroyed).toBe(true);
  });

  test("destroy after end delivers what was written, then stops the peer's upload", async () => {
    await using streams = await pair();
    const { near, far } = streams;
    const upload = Buffer.alloc(1000);
    const uploading = setInterval(() => near.write(upload), 1);
    far.end(Buffer.alloc(500_000, 1), () => far.destroy());
    expect((await buffer(near)).length).toBe(500_000);
    await vi.waitFor(() => expect(streams.nearStream.state).toBe("closed"));
    clearInterval(uploading);
    near.end();
    await once(near, "close");
  });

  test("a tunnel that breaks destroys its duplexes", async () => {
    await using streams = await pair();
    const failed = once(streams.near, "error");
    streams.far.on("error", () => {});
    streams.tunnel.acceptor.terminate();
    const [error] = await failed;
    expect(error).toMatchObject({ origin: "tunnel" });
  });

  test("setTimeout fires when nothing moves, and moving puts it off", async () => {
    await using streams = await pair();
    const far = streams.far as unknown as Socket;
    const onTimeout = vi.fn();
    far.resume();
    far.setTimeout(80, onTimeout);
    for (let i = 0; i < 5; i++) {
      await delay(40);
      streams.near.write("x");
    }
    expect(onTimeout).not.toHaveBeenCalled();
    await delay(200);
    expect(onTimeout).toHaveBeenCalledTimes(1);
  });
});

test("many small chunks that wait for a reader are joined, and do not each hold a whole read", async () => {
  const wire = new Wire();
  const stream = wire.dialler.open();
  wire.settle();
  const served = wire.acceptor.accepted[0] as TunnelStream;
  const duplex = toDuplex(served);
  // It has begun to listen, but takes nothing.
  duplex.on("readable", () => {});
  let sent = "";
  for (let i = 0; i < 20_000; i++) {
    const token = `${i},`;
    sent += token;
    stream.write(Buffer.from(token));
    wire.settle();
    if (i % 100 === 0) await delay(0);
  }
  const waiting = duplex as unknown as { _readableState: { buffer: Buffer[] } };
  const held = new Set(waiting._readableState.buffer.filter(Boolean).map((chunk) => chunk.buffer));
  expect(held.size).toBeLessThan(20);
  const got: Buffer[] = [];
  duplex.removeAllListeners("readable");
  duplex.on("data", (chunk: Buffer) => got.push(chunk)).resume();
  await vi.waitFor(() => {
    wire.settle();
    expect(Buffer.concat(got).toString()).toBe(sent);
  });
});

test("credit goes back when the reader takes the bytes, not when they arrive", async () => {
  const wire = new Wire();
  const stream = wire.dialler.open({}, { body: Buffer.alloc(100_000) });
  wire.settle();
  const served = wire.acceptor.accepted[0] as TunnelStream;
  const consumed = vi.spyOn(served, "consumed");
  const duplex = toDuplex(served);
  stream.write(Buffer.alloc(60_000));
  wire.settle();
  await delay(5);
  const returned = () => consumed.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0);
  expect(returned()).toBe(0);
  duplex.read(10_000);
  expect(returned()).toBe(10_000);
  duplex.unshift(Buffer.alloc(5000));
  duplex.read(5000);
  expect(returned()).toBe(10_000);
  duplex.resume();
  await delay(5);
  expect(returned()).toBe(60_000);
});

describe("under node:http", () => {
  test("10 MB bodies both ways, on kept-alive connections", async () => {
    await using tunnel = await httpOver((request, response) => {
      response.setHeader("content-length", request.headers["content-length"] ?? "0");
      request.pipe(response);
    });
    const body = Buffer.alloc(10_000_000, "0123456789");
    for (let i = 0; i < 3; i++) {
      const request = httpRequest({ agent: tunnel.agent, method: "POST", headers: { "content-length": body.length } });
      request.end(body);
      const [response] = await once(request, "response");
      expect((await buffer(response)).equals(body)).toBe(true);
    }
    expect(tunnel.dialler.streamCount).toBe(1);
    tunnel.agent.destroy();
  });

  test("pipelined requests are answered in order", async () => {
    await using tunnel = await httpOver((request, response) => {
      setTimeout(() => response.end(`<${request.url}>`), request.url === "/0" ? 30 : 1);
    });
    const duplex = toDuplex(tunnel.dialler.open({}));
    for (let i = 0; i < 20; i++) duplex.write(`GET /${i} HTTP/1.1\r\nhost: x\r\n\r\n`);
    duplex.write("GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const answers = (await text(duplex)).match(/<[^>]+>/g);
    expect(answers).toEqual([...Array.from({ length: 20 }, (_, i) => `</${i}>`), "</last>"]);
    duplex.end();
    await vi.waitFor(() => expect(tunnel.acceptor.streamCount).toBe(0));
  });

  test("a client that leaves aborts the request at once", async () => {
    const aborted = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using tunnel = await httpOver((_request, response) => {
      response.on("close", () => aborted.resolve());
      const timer = setInterval(() => response.write("data: token\n\n"), 1);
      response.on("close", () => clearInterval(timer));
      started.resolve();
    });
    const request = httpRequest({ agent: tunnel.agent });
    request.on("error", () => {});
    request.end();
    await started.promise;
    await once(request, "response");
    request.destroy();
    await aborted.promise;
    await vi.waitFor(() => expect(tunnel.acceptor.streamCount).toBe(0));
  });

  test("a server that gives up mid-answer is seen as broken, not as finished", async () => {
    await using tunnel = await httpOver((_request, response) => {
      response.write("half");
      setTimeout(() => response.destroy(), 10);
    });
    const request = httpRequest({ agent: tunnel.agent });
    request.on("error", () => {});
    request.end();
    const [response] = await once(request, "response");
    await expect(text(response)).rejects.toThrow();
  });

  test("an answer that is not read stops the server's writes", async () => {
    let written = 0;
    await using tunnel = await httpOver((_request, response) => {
      const block = Buffer.alloc(64 * 1024);
      const fill = () => {
        while (response.write(block)) written += block.length;
        written += block.length;
        response.once("drain", fill);
      };
      fill();
    });
    const request = httpRequest({ agent: tunnel.agent });
    request.on("error", () => {});
    request.end();
    const [response] = await once(request, "response");
    await delay(200);
    const stopped = written;
    expect(stopped).toBeLessThan(1_000_000);
    await delay(100);
    expect(written).toBe(stopped);
    response.destroy();
  });
});

test("between two TCP sockets, as the CLI has it: half-close goes through", async () => {
  const target = createTcpServer({ allowHalfOpen: true }, async (socket) => {
    const question = await text(socket);
    socket.end(`answer to ${question}`);
  });
  await new Promise<void>((listening) => target.listen(0, "127.0.0.1", listening));
  const join = (left: Duplex, right: Duplex) => {
    left.pipe(right);
    right.pipe(left);
  };
  await using tunnel = await startTunnel({
    onStream: (stream) => {
      const { port } = target.address() as AddressInfo;
      join(toDuplex(stream), connect({ port, host: "127.0.0.1", allowHalfOpen: true }));
    },
  });
  const forward = createTcpServer({ allowHalfOpen: true }, (socket) => {
    join(socket, toDuplex(tunnel.dialler.open({})));
  });
  await new Promise<void>((listening) => forward.listen(0, "127.0.0.1", listening));
  const socket = connect({ port: (forward.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end("everything");
  expect(await text(socket)).toBe("answer to everything");
  await vi.waitFor(() => expect(tunnel.dialler.streamCount).toBe(0));
  target.close();
  forward.close();
});

test("onHeaders of a stream that this side opened", () => {
  const wire = new Wire();
  const onHeaders = vi.fn();
  const stream = wire.dialler.open();
  toDuplex(stream, { onHeaders });
  wire.settle();
  wire.acceptor.accepted[0]?.sendHeaders({ error: { code: "access_denied" } }, { endStream: true });
  wire.settle();
  expect(onHeaders).toHaveBeenCalledWith({ error: { code: "access_denied" } }, true, stream);
  expect(new End("dialler").connection.state).toBe("open");
});
