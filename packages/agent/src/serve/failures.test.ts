import type { Socket } from "node:net";
import { type HeaderList, TunnelErrorCode } from "@hoopish/protocol";
import type { Tunnel } from "@hoopish/tunnel";
import { afterEach, describe, expect, it } from "vitest";
import type { ConnectionConfig } from "../config/config.ts";
import { type Answered, answered, open, send, until } from "../testing/call.ts";
import { connectionTo, openPair, type TunnelPair } from "../testing/tunnel-pair.ts";
import { httpUpstream, rawUpstream, saying, type TestUpstream } from "../testing/upstreams.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
async function pairTo(upstream: { url: string }, over: Partial<ConnectionConfig> = {}): Promise<TunnelPair> {
  const pair = await openPair([connectionTo(upstream.url, over)]);
  closing.push(pair.close);
  return pair;
}
async function keep<T extends TestUpstream>(upstream: Promise<T>): Promise<T> {
  const made = await upstream;
  closing.push(made.close);
  return made;
}
const never = (_: Socket): void => {};
const reset = (socket: Socket): void => void socket.resetAndDestroy();

describe("before the answer", () => {
  it("a refused connection is upstream_failed, and says no address", async () => {
    const gone = await rawUpstream(never);
    await gone.close();
    const { server, log } = await pairTo(gone);
    const { error } = await send(server);
    expect(error).toEqual({ code: "upstream_failed", message: "the model server refuses connections" });
    expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { connection: "model", detail: "ECONNREFUSED" } });
  });

  it("an unknown name is upstream_failed", async () => {
    const { server } = await pairTo({ url: "http://no-such-host.invalid" });
    expect((await send(server)).error?.code).toBe("upstream_failed");
  });

  it.each([
    ["reset", reset],
    ["closed", (socket: Socket) => void socket.end()],
  ])("a connection that is %s instead of an answer is upstream_failed", async (_, end) => {
    const upstream = await keep(rawUpstream((socket) => void socket.once("data", () => end(socket))));
    const { server } = await pairTo(upstream);
    expect((await send(server, { body: "x" })).error).toEqual({
      code: "upstream_failed",
      message: "the model server closed the connection",
    });
  });

  it.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["a bad status line", "HTTP/1.1 abc OK\r\n\r\n"],
    ["a header without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n"],
    ["a bad chunk size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", true],
    ["a status over 599", "HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n"],
    [
      "both a length and chunks",
      "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
    ["two content lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    [
      "a switch of protocols that nobody asked for",
      "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ["headers without an end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(40_000)}\r\n\r\n`],
  ])("an answer with %s is never passed on as if it were one", async (_, bytes, begun = false) => {
    const { server } = await pairTo(await keep(saying(bytes, never)));
    const answer = await send(server);
    expect(answer.error?.code).toBe(begun ? undefined : "upstream_failed");
    expect(answer.reset === undefined).toBe(!begun);
    expect(JSON.stringify(answer.error ?? "")).not.toContain("SSH");
  });

  it("a server that does not take connections in time is upstream_timeout", async () => {
    // Takes the TCP connection and never the TLS one, which is part of connecting.
    const silent = await keep(rawUpstream(never));
    const { server } = await pairTo({ url: `https://127.0.0.1:${silent.port}` }, { connectTimeoutMs: 50 });
    const { error } = await send(server);
    expect(error).toMatchObject({ code: "upstream_timeout", message: expect.stringContaining("accept a connection") });
  });

  it("a server that does not answer in time is upstream_timeout", async () => {
    const silent = await keep(rawUpstream(never));
    const { server, serving } = await pairTo(silent);
    const started = performance.now();
    expect((await send(server, { timeoutMs: 60 })).error?.code).toBe("upstream_timeout");
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(serving.inFlight).toBe(0);
  });

  it("headersTimeout ends a call whose answer does not begin", async () => {
    const silent = await keep(rawUpstream(never));
    const { server } = await pairTo(silent, { headersTimeoutMs: 100 });
    expect((await send(server, { body: "x" })).error).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("begin its answer"),
    });
  });
});

describe("after the answer has begun", () => {
  const HEAD = "HTTP/1.1 200 OK\r\n";
  it.each<[string, string, (socket: Socket) => void]>([
    ["fewer bytes than announced", `${HEAD}content-length: 100\r\n\r\npart`, (socket) => void socket.end()],
    ["a reset within the announced bytes", `${HEAD}content-length: 100\r\n\r\npart`, reset],
    [
      "chunks without the last one",
      `${HEAD}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n`,
      (socket) => void socket.end(),
    ],
    ["a reset between chunks", `${HEAD}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n`, reset],
    ["a reset of an answer that ends with its connection", `${HEAD}connection: close\r\n\r\npart`, reset],
  ])("%s breaks the stream, and never ends it", async (_, bytes, end) => {
    const upstream = await keep(saying(bytes, (socket) => void setTimeout(end, 20, socket)));
    const { server, log } = await pairTo(upstream);
    const answer = await send(server);
    expect(answer).toMatchObject({ status: 200, body: Buffer.from("part"), reset: { origin: "remote" } });
    expect(answer.reset?.code).toBe(TunnelErrorCode.INTERNAL_ERROR);
    expect(answer.reset?.reason).toMatch(/^upstream_failed: /);
    expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { code: "upstream_failed" } });
  });

  it("an answer that ends with its connection, in order, is whole", async () => {
    const { server } = await pairTo(await keep(saying("HTTP/1.0 200 OK\r\n\r\nall of it")));
    const answer = await send(server);
    expect([answer.body.toString(), answer.reset]).toEqual(["all of it", undefined]);
  });

  it("a call that takes too long is broken off, and the model server loses its client", async () => {
    const upstream = await keep(httpUpstream((_, response) => void response.write("begun")));
    const { server } = await pairTo(upstream);
    const answer = await send(server, { timeoutMs: 80 });
    expect(answer.body.toString()).toBe("begun");
    expect(answer.reset?.reason).toMatch(/^upstream_timeout: /);
    await until("the socket is closed", () => noConnections(upstream));
  });
});

describe("a request with trailers, which goes another way,", () => {
  async function sendTrailing(server: Tunnel, headers: HeaderList = []): Promise<Answered> {
    const call = open(server, { method: "POST", headers: ["trailer", "x-sum", ...headers], keepOpen: true });
    call.stream.write(Buffer.from("some bytes"));
    call.stream.endWithTrailers({ trailers: ["x-sum", "42"] });
    await call.done;
    return answered(call);
  }

  it("fails as others do when it cannot be sent", async () => {
    const gone = await rawUpstream(never);
    await gone.close();
    const { server, serving } = await pairTo(gone);
    expect((await sendTrailing(server)).error?.message).toBe("the model server refuses connections");
    expect((await sendTrailing(server, ["x", "a\r\nb"])).error?.code).toBe("bad_request");
    expect(serving.inFlight).toBe(0);
  });

  it.each<[string, string, (socket: Socket) => void]>([
    ["is cut off", "content-length: 100\r\n\r\npart", (socket) => void socket.end()],
    ["is reset", "connection: close\r\n\r\npart", reset],
  ])("is not whole when its answer %s", async (_, head, end) => {
    const upstream = await keep(saying(`HTTP/1.1 200 OK\r\n${head}`, (socket) => void setTimeout(end, 20, socket)));
    const { server } = await pairTo(upstream);
    const answer = await sendTrailing(server);
    expect(answer).toMatchObject({ status: 200, body: Buffer.from("part"), reset: { origin: "remote" } });
  });

  it("is cancelled as others are", async () => {
    const upstream = await keep(httpUpstream((_, response) => void response.write("begun")));
    const { server } = await pairTo(upstream);
    const call = open(server, { method: "POST", headers: ["trailer", "x-sum"], keepOpen: true });
    call.stream.write(Buffer.from("some bytes"));
    await call.head;
    call.stream.reset(TunnelErrorCode.CANCEL);
    await until("the socket is closed", () => noConnections(upstream));
  });
});

describe("a call that cannot go out as it stands", () => {
  const nothing = (): Promise<TestUpstream> => keep(httpUpstream((_, response) => response.end("reached")));

  it.each([
    ["absolute form", "http://elsewhere/"],
    ["no path", ""],
    ["an authority", "elsewhere:80"],
    ["asterisk form", "*"],
    ["a line end", "/a\r\nhost: elsewhere"],
    ["a NUL", "/a\0"],
    ["a blank", "/a b"],
    ["a fragment", "/a#b"],
    ["a character beyond a byte", "/\u0100"],
  ])("a path with %s is refused", async (_, path) => {
    const upstream = await nothing();
    const { server } = await pairTo(upstream);
    expect((await send(server, { path })).error?.code).toBe("bad_request");
    expect(upstream.accepted()).toBe(0);
  });

  it.each(["CONNECT", "connect", "TRACE", "GE T", "", "G\r\nX: y"])("the method %j is refused", async (method) => {
    const { server } = await pairTo(await nothing());
    expect((await send(server, { method })).error?.code).toBe("bad_request");
  });

  it.each<[string, HeaderList]>([
    ["a line end in a value", ["x", "a\r\nhost: elsewhere"]],
    ["a NUL in a value", ["x", "a\0"]],
    ["a line end in a name", ["x\r\ny", "a"]],
    ["an empty name", ["", "a"]],
    ["a value beyond latin1", ["x", "\u0100"]],
    ["an upgrade", ["connection", "upgrade", "upgrade", "websocket"]],
  ])("headers with %s are refused", async (_, headers) => {
    const { server } = await pairTo(await nothing());
    expect((await send(server, { headers })).error?.code).toBe("bad_request");
  });

  it("drops what belongs to the hop, and what would frame the message otherwise", async () => {
    const upstream = await keep(
      httpUpstream((request, response) => response.end(JSON.stringify([request.rawHeaders, request.headers.host]))),
    );
    const { server } = await pairTo(upstream);
    const headers = [
      "host",
      "elsewhere",
      "content-length",
      "9",
      "transfer-encoding",
      "chunked",
      "expect",
      "100-continue",
    ];
    headers.push("connection", "close, X-Hop", "keep-alive", "timeout=1", "x-hop", "1", "proxy-authorization", "x");
    headers.push("te", "gzip, trailers", "x-kept", "1", "X-Kept", "2");
    const [raw, host] = JSON.parse((await send(server, { headers, body: "12" })).body.toString());
    const expected = ["te", "trailers", "x-kept", "1", "x-kept", "2", "content-length", "2"];
    expect(raw).toEqual(["host", host, "connection", "keep-alive", ...expected]);
    expect(host).toBe(`127.0.0.1:${upstream.port}`);
  });

  it("stays under the target's base path", async () => {
    const upstream = await keep(httpUpstream((request, response) => response.end(request.url)));
    const { server } = await pairTo({ url: `${upstream.url}/serving/v1` });
    expect((await send(server, { path: "/models?x=1" })).body.toString()).toBe("/serving/v1/models?x=1");
    expect((await send(server, { path: "//elsewhere/x" })).body.toString()).toBe("/serving/v1//elsewhere/x");
  });

  it("an unknown connection is not_found", async () => {
    const { server } = await pairTo(await nothing());
    expect((await send(server, { connection: "other", body: "x" })).error?.code).toBe("not_found");
  });

  it("a stream that is no call is bad_request", async () => {
    const { server } = await pairTo(await nothing());
    const { promise, resolve } = Promise.withResolvers<object>();
    server.open(
      { ":kind": "other" },
      { onHeaders: resolve, onData() {}, onEnd() {}, onReset() {} },
      { endStream: true },
    );
    expect(await promise).toMatchObject({ error: { code: "bad_request" } });
  });

  it.each<[string, number, string]>([
    ["fewer", 10, "five."],
    ["more", 3, "five."],
    ["none", 5, ""],
    ["fewer, of many,", 100_000, "five."],
  ])("a body of %s bytes than it announced is refused", async (_, length, body) => {
    const { server } = await pairTo(await nothing());
    const answer = await send(server, { method: "POST", length, body });
    expect(answer.error?.code).toBe("bad_request");
  });

  it("a call over the connection's limit is rate_limited, and does not disturb the others", async () => {
    const upstream = await keep(httpUpstream((_, response) => void setTimeout(() => response.end("ok"), 100)));
    const { server } = await pairTo(upstream, { maxCalls: 2 });
    const answers = await Promise.all([1, 2, 3].map(() => send(server, { body: "x" })));
    expect(answers.map(({ status, error }) => error?.code ?? status)).toEqual([200, 200, "rate_limited"]);
    expect((await send(server)).status).toBe(200);
  });

  it("asks a refused upload to stop", async () => {
    const { server } = await pairTo(await nothing());
    const call = open(server, { connection: "other", method: "POST", keepOpen: true });
    await call.done;
    expect(answered(call).error?.code).toBe("not_found");
    while (call.stream.state !== "closed") {
      call.stream.write(Buffer.alloc(16_384));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(call.reset?.code).toBe(TunnelErrorCode.NO_ERROR);
  });
});

describe("stopping", () => {
  it("lets calls in flight finish", async () => {
    const upstream = await keep(httpUpstream((_, response) => void setTimeout(() => response.end("finished"), 100)));
    const { server, serving } = await pairTo(upstream);
    const call = send(server);
    await until("the call is out", () => upstream.accepted() === 1);
    await serving.close(5_000);
    expect((await call).body.toString()).toBe("finished");
  });

  it("gives up those that take longer than the drain", async () => {
    const upstream = await keep(httpUpstream(() => {}));
    const { server, serving } = await pairTo(upstream);
    const call = send(server);
    await until("the call is out", () => upstream.accepted() === 1);
    await serving.close(50);
    expect((await call).error?.code).toBe("agent_unavailable");
    expect(serving.inFlight).toBe(0);
  });
});

function noConnections({ server }: Awaited<ReturnType<typeof httpUpstream>>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count === 0)));
  });
}
