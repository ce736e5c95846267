import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { encodeFrame, FrameType, RemoteProtocolError, TunnelErrorCode } from "@hoopish/protocol";
import { describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import type { StreamHandler, TunnelStream } from "./api.ts";
import { dialTunnel } from "./dial.ts";
import { SUBPROTOCOL } from "./limits.ts";
import { openLink } from "./test-link.ts";
import { startServer, startTunnel } from "./test-server.ts";
import { Recorder } from "./test-wire.ts";
import { TunnelDeadError } from "./tunnel.ts";

/** Answers every stream with what it got. */
const echo = (stream: TunnelStream) => {
  stream.handler = {
    onData: (chunk) => {
      stream.consumed(chunk.length);
      stream.write(chunk);
    },
    onEnd: () => stream.end(),
    onReset: () => {},
  };
};

/** A handler that resolves with all bytes when the peer has ended. */
function collect(): { handler: StreamHandler; body: Promise<Buffer> } {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  const handler: StreamHandler = {
    onData: (chunk, stream) => {
      stream.consumed(chunk.length);
      chunks.push(chunk);
    },
    onEnd: () => resolve(Buffer.concat(chunks)),
    onReset: reject,
  };
  return { handler, body: promise };
}

describe("over real sockets", () => {
  test("10 MB each way on 8 streams at once, intact", async () => {
    await using tunnel = await startTunnel({ onStream: echo });
    const bodies = Array.from({ length: 8 }, (_, i) => {
      const body = Buffer.alloc(10_000_000);
      for (let at = 0; at + 4 <= body.length; at += 4) body.writeUInt32LE((at ^ (i * 0x9e3779b1)) >>> 0, at);
      return body;
    });
    const echoed = bodies.map((body) => {
      const { handler, body: answer } = collect();
      tunnel.dialler.open({}, handler, { body, endStream: true });
      return answer;
    });
    const answers = await Promise.all(echoed);
    for (const [i, answer] of answers.entries()) expect(answer.equals(bodies[i] as Buffer)).toBe(true);
    expect(tunnel.dialler.streamCount).toBe(0);
  });

  test("the acceptor opens streams too, and messages that come with the handshake are not lost", async () => {
    const server = await startServer({
      route: () => ({
        accept: { onStream: echo },
        onTunnel: (tunnel) => tunnel.open({ hello: true }, new Recorder(true), { body: Buffer.from("at once") }),
      }),
    });
    await using _server = server;
    const first = Promise.withResolvers<string>();
    const tunnel = await dialTunnel(server.url, {
      onStream: (stream) => {
        stream.handler = {
          onData: (chunk) => first.resolve(`${JSON.stringify(stream.headers)} ${chunk}`),
          onEnd: () => {},
          onReset: () => {},
        };
      },
    });
    expect(await first.promise).toBe('{"hello":true} at once');
    tunnel.terminate();
  });

  test("everything that one turn writes is one write to the socket", async () => {
    await using tunnel = await startTunnel({ onStream: echo });
    const { handler, body } = collect();
    const warm = tunnel.dialler.open({}, handler, { endStream: true });
    await body;
    expect(warm.state).toBe("closed");
    const write = vi.spyOn(Socket.prototype, "write");
    const answers = Array.from({ length: 10 }, () => {
      const { handler: each, body: answer } = collect();
      tunnel.dialler.open({ path: "/v1/models" }, each, { body: Buffer.from("{}"), endStream: true });
      return answer;
    });
    await Promise.all(answers);
    // One for the ten requests, one for the ten answers.
    expect(write).toHaveBeenCalledTimes(2);
    write.mockRestore();
  });

  test("a socket with a large buffer of its own does not stall", async () => {
    const onStream = (stream: TunnelStream) => {
      stream.handler = new Recorder(true);
      stream.end(Buffer.alloc(1_000_000));
    };
    const server = await startServer({ highWaterMark: 4 * 1024 * 1024, tunnel: { onStream } });
    await using _server = server;
    const link = await openLink(server.port, { delayMs: 1, bitsPerSecond: 400e6, queueBytes: 64 * 1024 });
    const tunnel = await dialTunnel(`ws://127.0.0.1:${link.port}/tunnel`);
    // Together they have more credit than the kernel's buffers take, so the socket's own fills.
    const bodies = Array.from({ length: 40 }, () => {
      const { handler, body } = collect();
      tunnel.open({}, handler, { endStream: true });
      return body;
    });
    for (const body of await Promise.all(bodies)) expect(body.length).toBe(1_000_000);
    tunnel.terminate();
    link.close();
  });

  test("without onStream, streams are refused", async () => {
    await using tunnel = await startTunnel();
    const recorder = new Recorder();
    tunnel.dialler.open({}, recorder);
    await vi.waitFor(() => expect(recorder.reset?.code).toBe(TunnelErrorCode.REFUSED_STREAM));
  });
});

describe("a reader that stops", () => {
  test("costs 256 KiB of credit and 64 KiB of queue, stops its writer, and does not slow its neighbour", async () => {
    let buffered = 0;
    let got = 0;
    await using tunnel = await startTunnel({
      onStream: (stream) => {
        const stuck = stream.headers.stuck === true;
        stream.handler = {
          onData: (chunk) => {
            if (stuck) buffered += chunk.length;
            else {
              got += chunk.length;
              stream.consumed(chunk.length);
            }
          },
          onEnd: () => stream.end(),
          onReset: () => {},
        };
      },
    });
    const block = Buffer.alloc(64 * 1024);
    const stuck = tunnel.dialler.open({ stuck: true }, new Recorder());
    while (stuck.write(block)) {}
    for (let i = 0; i < 50; i++) {
      await delay(2);
      if (stuck.writableQueued <= 64 * 1024) stuck.write(block);
    }
    expect(buffered).toBe(256 * 1024);
    expect(stuck.writableQueued).toBeLessThanOrEqual(128 * 1024);

    const neighbour = (bytes: number) =>
      new Promise<number>((resolve, reject) => {
        const start = performance.now();
        let left = bytes;
        const stream = tunnel.dialler.open(
          {},
          {
            onData: () => {},
            onEnd: () => resolve(performance.now() - start),
            onReset: reject,
            onDrain: () => fill(),
          },
        );
        const fill = () => {
          while (left > 0) {
            left -= block.length;
            if (!stream.write(block)) return;
          }
          stream.end();
        };
        fill();
      });
    const beside = await neighbour(64 * 1024 * 1024);
    expect(got).toBe(64 * 1024 * 1024);
    stuck.reset(TunnelErrorCode.CANCEL);
    const alone = await neighbour(64 * 1024 * 1024);
    expect(beside).toBeLessThan(Math.max(alone * 3, alone + 500));
    expect(tunnel.dialler.bufferedBytes).toBeLessThan(1024 * 1024);
  });
});

test("however much streams have to send, the socket's own buffer stays small", async () => {
  const server = await startServer({
    tunnel: {
      onStream: (stream) => {
        stream.handler = new Recorder(true);
      },
    },
  });
  await using _server = server;
  const link = await openLink(server.port, { delayMs: 1, bitsPerSecond: 1e9, queueBytes: 1e6 });
  const tunnel = await dialTunnel(`ws://127.0.0.1:${link.port}/tunnel`);
  await vi.waitFor(() => expect(tunnel.rttMs).toBeGreaterThan(0));
  link.hold();
  const streams = Array.from({ length: 100 }, () => tunnel.open({}, new Recorder()));
  // 25 MB of credit, of which the kernel takes some and nobody the rest.
  for (let i = 0; i < 40; i++) {
    for (const stream of streams) if (stream.writableQueued === 0) stream.write(Buffer.alloc(16 * 1024));
    await delay(2);
  }
  const queued = streams.reduce((sum, stream) => sum + stream.writableQueued, 0);
  expect(queued).toBeGreaterThan(0);
  expect(tunnel.bufferedBytes - queued).toBeLessThan(300 * 1024);
  tunnel.terminate();
  link.close();
});

describe("a shaped link: 20 ms round trip, 100 Mbit/s", () => {
  test("a bulk transfer delays the tokens beside it by 20 ms at most", async () => {
    const block = Buffer.alloc(64 * 1024);
    const server = await startServer({
      tunnel: {
        onStream: (stream) => {
          const bulk = () => {
            while (stream.write(block)) {}
          };
          const token = () => stream.write(Buffer.from(String(performance.now())));
          const timer = stream.headers.bulk === true ? undefined : setInterval(token, 10);
          const onReset = () => clearInterval(timer);
          stream.handler = { onData: () => {}, onEnd: () => {}, onReset, onDrain: bulk };
          if (timer === undefined) bulk();
        },
      },
    });
    await using _server = server;
    const link = await openLink(server.port, { delayMs: 10, bitsPerSecond: 100e6, queueBytes: 256 * 1024 });
    const tunnel = await dialTunnel(`ws://127.0.0.1:${link.port}/tunnel`);
    const tokens = async (count: number) => {
      const delays: number[] = [];
      const done = Promise.withResolvers<void>();
      const stream = tunnel.open(
        {},
        {
          onData: (chunk) => {
            stream.consumed(chunk.length);
            delays.push(performance.now() - Number(chunk.toString().slice(0, 12)));
            if (delays.length === count) done.resolve();
          },
          onEnd: () => {},
          onReset: done.reject,
        },
      );
      await done.promise;
      stream.reset(TunnelErrorCode.CANCEL);
      return delays.toSorted((a, b) => a - b)[count >>> 1] as number;
    };
    const alone = await tokens(30);
    let got = 0;
    const start = performance.now();
    const bulk = tunnel.open(
      { bulk: true },
      {
        onData: (chunk) => {
          got += chunk.length;
          bulk.consumed(chunk.length);
        },
        onEnd: () => {},
        onReset: () => {},
      },
    );
    await delay(300);
    const beside = await tokens(100);
    const mbits = (got * 8) / 1000 / (performance.now() - start);
    tunnel.terminate();
    link.close();
    expect(beside - alone).toBeLessThan(20);
    // 98 where the processors are free; a window that was kept small for the tokens' sake would give 26 at 64 KiB.
    expect(mbits).toBeGreaterThan(30);
  });
});

describe("a peer that frames its messages in other ways", () => {
  test("pings, fragments and whole messages in one stream of bytes are all read, in order", async () => {
    const got: string[] = [];
    const done = Promise.withResolvers<void>();
    await using server = await startServer({
      tunnel: {
        onStream: (stream) => {
          stream.handler = {
            onData: (chunk) => void got.push(chunk.toString()),
            onEnd: () => done.resolve(),
            onReset: done.reject,
          };
        },
      },
    });
    const ws = new WebSocket(server.url, SUBPROTOCOL);
    await once(ws, "open");
    const pong = once(ws, "pong");
    const data = (text: string, endStream = false) =>
      encodeFrame({ type: FrameType.DATA, streamId: 1, endStream, payload: Buffer.from(text) });
    ws.send(encodeFrame({ type: FrameType.SETTINGS, ack: false, settings: { version: 1 } }));
    ws.send(encodeFrame({ type: FrameType.HEADERS, streamId: 1, endStream: false, headers: {} }));
    ws.send(data("whole"));
    ws.ping("are you there");
    ws.send(data("after the ping"));
    const fragmented = data("in two fragments");
    ws.send(fragmented.subarray(0, 10), { fin: false });
    ws.send(fragmented.subarray(10), { fin: true });
    ws.send(data("the last", true));
    await done.promise;
    expect(got).toEqual(["whole", "after the ping", "in two fragments", "the last"]);
    expect((await pong)[0].toString()).toBe("are you there");
    const closed = once(ws, "close");
    ws.close(1000, "bye");
    expect((await closed)[0]).toBe(1000);
  });
});

describe("the end", () => {
  test("goAway lets streams finish, then both ends close in order", async () => {
    await using tunnel = await startTunnel({ onStream: echo });
    const { handler, body } = collect();
    const stream = tunnel.dialler.open({}, handler, { body: Buffer.from("before ") });
    await vi.waitFor(() => expect(tunnel.acceptor.streamCount).toBe(1));
    tunnel.acceptor.goAway("restart");
    await tunnel.dialler.draining;
    expect(tunnel.dialler.state).toBe("draining");
    expect(() => tunnel.dialler.open({})).toThrowError(expect.objectContaining({ code: "tunnel_draining" }));
    stream.end(Buffer.from("and after"));
    expect((await body).toString()).toBe("before and after");
    const ends = await Promise.all([tunnel.dialler.closed, tunnel.acceptor.closed]);
    for (const info of ends) expect(info).toEqual({ code: 1000, reason: "drained" });
  });

  test("close ends streams and tells the peer why", async () => {
    await using tunnel = await startTunnel({ onStream: echo });
    const recorder = new Recorder();
    tunnel.dialler.open({}, recorder, { body: Buffer.from("x") });
    await vi.waitFor(() => expect(tunnel.acceptor.streamCount).toBe(1));
    tunnel.acceptor.close(1001, "stopping");
    expect(await tunnel.dialler.closed).toEqual({ code: 1001, reason: "stopping" });
    expect(recorder.reset).toMatchObject({ origin: "tunnel" });
    expect(tunnel.acceptor.state).toBe("closed");
  });

  test("a socket that breaks ends every stream at once", async () => {
    await using tunnel = await startTunnel({ onStream: echo });
    const recorder = new Recorder();
    tunnel.dialler.open({}, recorder);
    tunnel.acceptor.terminate();
    expect(await tunnel.dialler.closed).toMatchObject({ code: 1006 });
    expect(recorder.reset).toMatchObject({ origin: "tunnel" });
  });

  test("a peer that falls silent is dead after two intervals", async () => {
    const server = await startServer();
    await using _server = server;
    const link = await openLink(server.port, { delayMs: 1, bitsPerSecond: 1e9, queueBytes: 1e6 });
    const tunnel = await dialTunnel(`ws://127.0.0.1:${link.port}/tunnel`, { pingIntervalMs: 60 });
    await delay(300);
    expect(tunnel.state).toBe("open");
    link.hold();
    const start = performance.now();
    const info = await tunnel.closed;
    expect(info.error).toBeInstanceOf(TunnelDeadError);
    expect(performance.now() - start).toBeLessThan(600);
    link.close();
  });

  test.each([
    ["a text message", "hello", TunnelErrorCode.PROTOCOL_ERROR],
    ["a frame that is not one", Buffer.from([0]), TunnelErrorCode.FRAME_SIZE_ERROR],
    ["DATA on stream 0", Buffer.from([0, 0, 0, 0, 0, 0, 1]), TunnelErrorCode.PROTOCOL_ERROR],
  ])("%s: GOAWAY, close 1002, and the owner is told", async (_name, message, code) => {
    const server = await startServer();
    await using _server = server;
    const ws = new WebSocket(server.url, SUBPROTOCOL);
    const messages: Buffer[] = [];
    ws.on("message", (frame: Buffer) => messages.push(frame));
    await once(ws, "open");
    const tunnel = await server.accepted;
    ws.send(message);
    const [closeCode] = await once(ws, "close");
    expect(closeCode).toBe(1002);
    const goaway = messages.find((frame) => frame[0] === FrameType.GOAWAY);
    expect(goaway?.readUInt32BE(10)).toBe(code);
    const { error } = await tunnel.closed;
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error).toMatchObject({ code });
  });

  test("a message over the limit ends the tunnel before it is in memory", async () => {
    const server = await startServer();
    await using _server = server;
    const ws = new WebSocket(server.url, SUBPROTOCOL);
    await once(ws, "open");
    const tunnel = await server.accepted;
    ws.send(Buffer.alloc(70_000));
    const [closeCode] = await once(ws, "close");
    expect(closeCode).toBe(1009);
    expect((await tunnel.closed).error).toMatchObject({ code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" });
  });

  test("bytes that are no WebSocket frames end the tunnel", async () => {
    const server = await startServer();
    await using _server = server;
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      `GET /tunnel HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: ${SUBPROTOCOL}\r\nsec-websocket-key: ${Buffer.alloc(16).toString("base64")}\r\n\r\n`,
    );
    const tunnel = await server.accepted;
    const recorder = new Recorder();
    tunnel.open({}, recorder);
    socket.write(Buffer.alloc(1000, 0xff));
    // Streams end at once; the closing handshake is the peer's to finish.
    await vi.waitFor(() => expect(recorder.reset).toMatchObject({ origin: "tunnel" }));
    expect(tunnel.state).toBe("closed");
    socket.destroy();
    expect((await tunnel.closed).error).toMatchObject({ code: expect.stringMatching(/^WS_ERR/) });
  });
});

test("a handler that throws is reported, and its tunnel lives", async () => {
  const onHandlerError = vi.fn();
  await using tunnel = await startTunnel({
    onHandlerError,
    onStream: () => {
      throw new Error("bug");
    },
  });
  const recorder = new Recorder();
  tunnel.dialler.open({}, recorder);
  await vi.waitFor(() => expect(recorder.reset?.code).toBe(TunnelErrorCode.INTERNAL_ERROR));
  expect(onHandlerError).toHaveBeenCalledWith(expect.objectContaining({ message: "bug" }), expect.anything());
  expect(tunnel.acceptor.state).toBe("open");
});

test("rapid reset over the wire ends the tunnel", async () => {
  await using tunnel = await startTunnel({
    onStream: echo,
    limits: { resetsBurst: 100, resetsPerSecond: 10 },
  });
  for (let i = 0; i < 120; i++) tunnel.dialler.open({}, new Recorder()).reset(TunnelErrorCode.CANCEL);
  const { error } = await tunnel.acceptor.closed;
  expect(error).toMatchObject({ name: "RemoteProtocolError", code: TunnelErrorCode.ENHANCE_YOUR_CALM });
});
