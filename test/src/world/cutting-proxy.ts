import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Carries TCP to a server, and cuts a connection when so many bytes of it have come back, as often as it is told to. */
export class CuttingProxy {
  readonly url: string;
  /** For each cut that is still to come: bytes of the answer that pass before it. */
  readonly cuts: number[] = [];
  /** Cuts made. */
  made = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  static async start(target: string): Promise<CuttingProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new CuttingProxy(server, target);
  }

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { hostname, port } = new URL(target);
    server.on("connection", (client) => this.#carry(client, connect(Number(port), hostname)));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #carry(client: Socket, server: Socket): void {
    let passed = 0;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => {
      const [cut] = this.cuts;
      const room = cut === undefined ? Number.POSITIVE_INFINITY : cut - passed;
      if (bytes.length < room) {
        passed += bytes.length;
        if (!client.write(bytes)) {
          server.pause();
          client.once("drain", () => server.resume());
        }
        return;
      }
      this.cuts.shift();
      this.made += 1;
      client.write(bytes.subarray(0, room), () => client.resetAndDestroy());
      server.destroy();
    });
  }
}
