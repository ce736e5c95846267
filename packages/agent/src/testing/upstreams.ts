import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";

export interface TestUpstream {
  readonly url: string;
  readonly port: number;
  /** Sockets that were accepted so far. */
  readonly accepted: () => number;
  close(): Promise<void>;
}

/** A real HTTP server that answers as the test says. */
export async function httpUpstream(listener: RequestListener): Promise<TestUpstream & { readonly server: Server }> {
  const server = createHttpServer(listener);
  let accepted = 0;
  server.on("connection", () => {
    accepted += 1;
  });
  const { port, url } = await listen(server);
  return {
    server,
    url,
    port,
    accepted: () => accepted,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A TCP server that speaks whatever bytes the test writes. */
export async function rawUpstream(onSocket: (socket: Socket) => void): Promise<TestUpstream> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createTcpServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    onSocket(socket);
  });
  const { port, url } = await listen(server);
  return {
    url,
    port,
    accepted: () => accepted,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A TCP server that reads a request's head and then says `bytes`; `then` decides how the connection goes on. */
export function saying(
  bytes: string,
  then: (socket: Socket) => void = (socket) => socket.end(),
): Promise<TestUpstream> {
  return rawUpstream((socket) => {
    socket.once("data", () => {
      socket.write(bytes, () => then(socket));
    });
  });
}

async function listen(server: ReturnType<typeof createTcpServer>): Promise<{ port: number; url: string }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}
