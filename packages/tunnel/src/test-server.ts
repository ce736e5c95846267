/** For tests: an HTTP server with a tunnel route, and what is needed to close both ends. */
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type DialOptions, dialTunnel } from "./dial.ts";
import type { Tunnel, TunnelOptions } from "./tunnel.ts";
import { attachUpgrade, type UpgradeHandle, type UpgradeOptions, type UpgradeRoute } from "./upgrade.ts";

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly handle: UpgradeHandle;
  /** The next tunnel that the server accepts. */
  readonly accepted: Promise<Tunnel>;
}

export interface TestServerOptions extends UpgradeOptions {
  readonly tunnel?: TunnelOptions;
  readonly route?: UpgradeRoute;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly onRequest?: RequestListener;
  /** Of the server's sockets, bytes. */
  readonly highWaterMark?: number;
}

/** A server on 127.0.0.1 whose `/tunnel` accepts everybody, unless `route` decides otherwise. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const server = options.tls
    ? createSecureServer(options.tls, options.onRequest)
    : createServer({ highWaterMark: options.highWaterMark }, options.onRequest);
  const { promise, resolve } = Promise.withResolvers<Tunnel>();
  const route = options.route ?? (() => ({ accept: options.tunnel ?? {}, onTunnel: resolve }));
  const handle = attachUpgrade(server, { "/tunnel": route }, options);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${options.tls ? "wss" : "ws"}://localhost:${port}/tunnel`,
    handle,
    accepted: promise,
    async [Symbol.asyncDispose]() {
      for (const tunnel of handle.tunnels) tunnel.terminate();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export interface TestTunnel extends AsyncDisposable {
  readonly server: TestServer;
  readonly dialler: Tunnel;
  readonly acceptor: Tunnel;
}

/** A tunnel over loopback, both ends in this process. */
export async function startTunnel(acceptor: TunnelOptions = {}, dialler: DialOptions = {}): Promise<TestTunnel> {
  const server = await startServer({ tunnel: acceptor });
  const tunnel = await dialTunnel(server.url, dialler);
  return {
    server,
    dialler: tunnel,
    acceptor: await server.accepted,
    async [Symbol.asyncDispose]() {
      tunnel.terminate();
      await server[Symbol.asyncDispose]();
    },
  };
}
