import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { type DialOptions, dialTunnel } from "./dial.ts";
import { TunnelDialError } from "./dial-error.ts";
import { SUBPROTOCOL } from "./limits.ts";
import { proxyFor } from "./proxy.ts";
import { makeCertificate } from "./test-certificate.ts";
import { startServer } from "./test-server.ts";
import { Recorder } from "./test-wire.ts";

async function listen(server: Server): Promise<number> {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

async function failure(url: string, options: DialOptions = {}): Promise<TunnelDialError> {
  const error = await dialTunnel(url, options).then(
    (tunnel) => {
      tunnel.terminate();
      throw new Error("the dial should have failed");
    },
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TunnelDialError);
  return error as TunnelDialError;
}

describe("refusals", () => {
  test("the route's status, code, message and hint reach the dialler, and 401 is fatal", async () => {
    await using server = await startServer({
      route: () => ({
        reject: {
          status: 401,
          body: { error: { code: "unauthenticated", message: "the token has expired", hint: "hoopish login" } },
          headers: { "www-authenticate": "Bearer" },
        },
      }),
    });
    expect(await failure(server.url)).toMatchObject({
      status: 401,
      code: "unauthenticated",
      message: "the token has expired",
      hint: "hoopish login",
      fatal: true,
    });
  });

  test("503 with retry-after may be tried again", async () => {
    await using server = await startServer();
    server.handle.drain();
    const error = await failure(server.url);
    expect(error).toMatchObject({ status: 503, code: "server_draining", fatal: false, retryAfterMs: 1000 });
  });

  test("the request's headers reach the route, and its decision may take time", async () => {
    const seen = vi.fn();
    await using server = await startServer({
      route: async (request) => {
        seen(request.headers.authorization, request.url);
        await delay(20);
        return { accept: {} };
      },
    });
    const tunnel = await dialTunnel(`${server.url}?a=b`, { headers: { authorization: "Bearer t" } });
    expect(seen).toHaveBeenCalledWith("Bearer t", "/tunnel?a=b");
    tunnel.terminate();
  });

  test("a path without a route is 404", async () => {
    await using server = await startServer();
    const error = await failure(server.url.replace("/tunnel", "/elsewhere"));
    expect(error).toMatchObject({ status: 404, code: "not_found", fatal: true });
    expect(await failure(server.url.replace("/tunnel", "/toString"))).toMatchObject({ status: 404 });
  });

  test("a route that throws is a 500 that says nothing of it", async () => {
    const onRouteError = vi.fn();
    const thrown = new Error("secret detail");
    await using server = await startServer({ onRouteError, route: () => Promise.reject(thrown) });
    const error = await failure(server.url);
    expect(error).toMatchObject({ status: 500, code: "internal", fatal: false });
    expect(JSON.stringify(error) + error.message).not.toContain("secret");
    expect(onRouteError).toHaveBeenCalledWith(thrown);
  });

  test("a route that takes too long is a 503, and is told to stop", async () => {
    const stopped = vi.fn();
    await using server = await startServer({
      authorizeTimeoutMs: 50,
      route: (_request, signal) =>
        new Promise(() => {
          signal.addEventListener("abort", stopped);
        }),
    });
    expect(await failure(server.url)).toMatchObject({ status: 503, fatal: false });
    expect(stopped).toHaveBeenCalled();
  });

  test("a client that leaves during authorisation gets no tunnel", async () => {
    const started = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    await using server = await startServer({
      route: (_request, signal) => {
        started.resolve();
        return new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted.resolve();
            resolve({ accept: {} });
          });
        });
      },
    });
    const giveUp = new AbortController();
    const dialled = failure(server.url, { signal: giveUp.signal });
    await started.promise;
    giveUp.abort();
    expect(await dialled).toMatchObject({ code: "aborted", fatal: true });
    await aborted.promise;
    await delay(20);
    expect(server.handle.tunnels.size).toBe(0);
  });

  test.each([
    ["no subprotocol", []],
    ["another subprotocol", ["hoopish.v9"]],
  ])("a WebSocket with %s is refused in HTTP", async (_name, protocols) => {
    await using server = await startServer();
    const ws = new WebSocket(server.url, protocols);
    const [, response] = (await once(ws, "unexpected-response")) as [unknown, IncomingMessage];
    expect(response.statusCode).toBe(426);
    ws.on("error", () => {});
    ws.terminate();
  });

  test("a plain HTTP answer without JSON still says what it was", async () => {
    const server = createServer((_request, response) => response.writeHead(502).end("<html>bad gateway</html>"));
    const port = await listen(server);
    const error = await failure(`ws://127.0.0.1:${port}/tunnel`);
    expect(error).toMatchObject({ status: 502, code: "refused", fatal: false });
    expect(error.message).toBe("the server answered 502 to the tunnel request");
    server.close();
  });

  test("many at once, and the rest of the server still answers HTTP", async () => {
    await using server = await startServer({ onRequest: (_request, response) => response.end("plain") });
    const tunnels = await Promise.all(Array.from({ length: 50 }, () => dialTunnel(server.url)));
    expect(server.handle.tunnels.size).toBe(50);
    expect(await (await fetch(server.url.replace("ws", "http"))).text()).toBe("plain");
    for (const tunnel of tunnels) tunnel.close();
    await vi.waitFor(() => expect(server.handle.tunnels.size).toBe(0));
  });
});

describe("connections that fail", () => {
  test("nobody listens", async () => {
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise((closed) => server.close(closed));
    expect(await failure(`ws://127.0.0.1:${port}/`)).toMatchObject({ code: "unreachable", fatal: false });
  });

  test("the server hangs up", async () => {
    const server = createTcpServer((socket) => socket.destroy());
    const port = await listen(server);
    expect(await failure(`ws://127.0.0.1:${port}/`)).toMatchObject({ code: "unreachable", fatal: false });
    server.close();
  });

  test("the server says nothing", async () => {
    const server = createTcpServer((socket) => socket.on("error", () => {}));
    const port = await listen(server);
    const error = await failure(`ws://127.0.0.1:${port}/`, { handshakeTimeoutMs: 50 });
    expect(error).toMatchObject({ code: "timeout", fatal: false });
    server.close();
  });

  test("the server speaks something else", async () => {
    const server = createTcpServer((socket) => socket.end("220 mail.example ESMTP\r\n"));
    const port = await listen(server);
    expect(await failure(`ws://127.0.0.1:${port}/`)).toMatchObject({ code: "bad_handshake", fatal: false });
    server.close();
  });

  test("a URL that is none", async () => {
    expect(await failure("not a url")).toMatchObject({ code: "bad_handshake", fatal: true });
    expect(await failure("ftp://127.0.0.1:1/")).toMatchObject({ fatal: expect.any(Boolean) });
  });

  test("given up before it began", async () => {
    const error = await failure("ws://127.0.0.1:9/", { signal: AbortSignal.abort() });
    expect(error).toMatchObject({ code: "aborted" });
  });
});

describe("TLS", () => {
  const own = makeCertificate();

  test("a private authority through `ca`, bytes both ways", async () => {
    await using server = await startServer({
      tls: own,
      tunnel: {
        onStream: (stream) => {
          stream.handler = new Recorder(true);
          stream.end(Buffer.alloc(1_000_000, 7));
        },
      },
    });
    const tunnel = await dialTunnel(server.url, { ca: own.cert });
    const recorder = new Recorder(true);
    tunnel.open({}, recorder, { body: Buffer.alloc(300_000), endStream: true });
    await vi.waitFor(() => expect(recorder).toMatchObject({ bytes: 1_000_000, ended: true }));
    expect(Buffer.concat(recorder.chunks).every((byte) => byte === 7)).toBe(true);
    tunnel.close();
    await tunnel.closed;
  });

  test("a server by its address", async () => {
    await using server = await startServer({ tls: own });
    const tunnel = await dialTunnel(server.url.replace("localhost", "127.0.0.1"), { ca: [own.cert] });
    tunnel.terminate();
  });

  test("a server that nobody vouches for", async () => {
    await using server = await startServer({ tls: own });
    expect(await failure(server.url)).toMatchObject({ code: "tls_untrusted", fatal: false });
    expect(await failure(server.url, { ca: makeCertificate().cert })).toMatchObject({ code: "tls_untrusted" });
  });

  test("a certificate for another name", async () => {
    const other = makeCertificate("elsewhere.example");
    await using server = await startServer({ tls: other });
    expect(await failure(server.url, { ca: other.cert })).toMatchObject({ code: "tls_untrusted" });
  });
});

describe("through a proxy", () => {
  interface Proxy extends Disposable {
    readonly port: number;
    readonly seen: string[];
  }
  /** A CONNECT proxy (RFC 9110 section 9.3.6), with Basic credentials if `credentials` is given. */
  async function startProxy(
    options: { credentials?: string; tls?: { key: string; cert: string } } = {},
  ): Promise<Proxy> {
    const seen: string[] = [];
    const sockets = new Set<Duplex>();
    const onConnect = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      sockets.add(socket);
      socket.on("error", () => {});
      const expected = options.credentials && `Basic ${Buffer.from(options.credentials).toString("base64")}`;
      if (expected !== undefined && request.headers["proxy-authorization"] !== expected) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n");
        return;
      }
      seen.push(request.url ?? "");
      const [host, port] = (request.url ?? "").split(":");
      const upstream: Socket = connect({ host: host ?? "", port: Number(port) });
      upstream.on("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
      upstream.on("connect", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
    };
    const server = options.tls ? createSecureServer(options.tls) : createServer();
    server.on("connect", onConnect);
    const port = await listen(server);
    return {
      port,
      seen,
      [Symbol.dispose]: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  }

  test("ws and wss, with credentials", async () => {
    const tls = makeCertificate();
    await using plain = await startServer();
    await using secure = await startServer({ tls });
    using proxy = await startProxy({ credentials: "user:p@ss word" });
    const url = `http://user:${encodeURIComponent("p@ss word")}@127.0.0.1:${proxy.port}`;
    for (const server of [plain, secure]) {
      const tunnel = await dialTunnel(server.url, { proxy: url, ca: tls.cert });
      await vi.waitFor(() => expect(tunnel.rttMs).toBeGreaterThan(0));
      tunnel.terminate();
    }
    expect(proxy.seen).toEqual([`localhost:${plain.port}`, `localhost:${secure.port}`]);
  });

  test("a proxy that wants credentials it does not get is fatal", async () => {
    await using server = await startServer();
    using proxy = await startProxy({ credentials: "user:right" });
    const error = await failure(server.url, { proxy: `http://user:wrong@127.0.0.1:${proxy.port}` });
    expect(error).toMatchObject({ code: "proxy_failed", status: 407, fatal: true });
    expect(error.message).not.toContain("wrong");
  });

  test("a proxy that cannot reach the server, and one that is not there", async () => {
    using proxy = await startProxy();
    const url = `http://127.0.0.1:${proxy.port}`;
    const far = await failure("ws://127.0.0.1:1/", { proxy: url });
    expect(far).toMatchObject({ code: "proxy_failed", status: 502, fatal: false });
    proxy[Symbol.dispose]();
    expect(await failure("ws://127.0.0.1:1/", { proxy: url })).toMatchObject({ code: "proxy_failed", fatal: false });
    expect(await failure("ws://127.0.0.1:1/", { proxy: "socks5://127.0.0.1:1" })).toMatchObject({ fatal: true });
  });
});

test("proxyFor reads the environment as curl does", () => {
  const env = {
    HTTP_PROXY: "http://plain:1",
    HTTPS_PROXY: "secure:2",
    NO_PROXY: "localhost,.corp.example,10.0.0.5:8443",
  };
  expect(proxyFor("wss://gateway.example/", env)?.href).toBe("http://secure:2/");
  expect(proxyFor("ws://gateway.example/", env)?.href).toBe("http://plain:1/");
  expect(proxyFor("wss://localhost:8443/", env)).toBeUndefined();
  expect(proxyFor("wss://a.corp.example/", env)).toBeUndefined();
  expect(proxyFor("wss://corp.example/", env)).toBeUndefined();
  expect(proxyFor("wss://notcorp.example/", env)?.host).toBe("secure:2");
  expect(proxyFor("wss://10.0.0.5:8443/", env)).toBeUndefined();
  expect(proxyFor("wss://10.0.0.5/", env)?.host).toBe("secure:2");
  expect(proxyFor("wss://x/", { ...env, https_proxy: "http://lower:3" })?.host).toBe("lower:3");
  expect(proxyFor("wss://x/", { ALL_PROXY: "http://all:4" })?.host).toBe("all:4");
  expect(proxyFor("wss://x/", { ...env, NO_PROXY: "*" })).toBeUndefined();
  expect(proxyFor("wss://[::1]:8443/", { ...env, NO_PROXY: "::1" })).toBeUndefined();
  expect(proxyFor("wss://[::1]:8443/", { ...env, NO_PROXY: "[::1]:8443" })).toBeUndefined();
  expect(proxyFor("wss://[::1]:8443/", { ...env, NO_PROXY: "[::1]:1" })).toBeDefined();
  expect(proxyFor("wss://x/", {})).toBeUndefined();
  expect(proxyFor("wss://x/", { HTTPS_PROXY: "" })).toBeUndefined();
  expect(SUBPROTOCOL).toBe("hoopish.v1");
});
