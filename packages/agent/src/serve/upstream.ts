import type { Socket } from "node:net";
import { type buildConnector, Client } from "undici";
import type { ConnectionConfig } from "../config/config.ts";
import { type Credential, createCredential } from "../credential/credential.ts";
import { createConnector } from "./connector.ts";
import type { CallDispatcher, UpstreamHandler, UpstreamRequest } from "./dispatcher.ts";
import { Slots } from "./slots.ts";
import { createTrailingDispatcher } from "./trailing-request.ts";

/** One configured model endpoint with its sockets, its credential and its count of calls. */
export interface Upstream {
  readonly config: ConnectionConfig;
  readonly credential: Credential | undefined;
  /** One client is one keep-alive socket, and carries one call at a time. */
  readonly clients: Slots<CallDispatcher>;
  /** For requests with trailers, which undici does not send. */
  readonly trailing: CallDispatcher;
  /** Calls begun and not over, those that wait for a client among them. */
  calls: number;
  close(): Promise<void>;
}

/**
 * Clients are lent out here and not by undici's Pool: that costs a tenth more of a small call's time, and keeps calls
 * that were cancelled while they waited, with their bodies, until their turn would have come.
 */
export function createUpstream(config: ConnectionConfig, env: Readonly<Record<string, string | undefined>>): Upstream {
  const connect = createConnector(config);
  const made: UpstreamClient[] = [];
  const clients = new Slots<CallDispatcher>(config.pool.connections, () => {
    const client = new UpstreamClient(config, connect);
    made.push(client);
    return client;
  });
  return {
    config,
    credential: config.credential && createCredential(config.credential, env),
    clients,
    trailing: createTrailingDispatcher(config.target.origin, connect),
    calls: 0,
    async close() {
      await Promise.all(made.map((client) => client.close()));
    },
  };
}

/** An undici client that also tells whether its socket broke. */
class UpstreamClient implements CallDispatcher {
  readonly #client: Client;
  #socket: Socket | undefined = undefined;

  constructor(config: ConnectionConfig, connect: buildConnector.connector) {
    this.#client = new Client(config.target.origin, {
      // One call a socket: an answer that is delayed or broken off is then nobody else's trouble.
      pipelining: 1,
      keepAliveTimeout: config.pool.keepAliveMs,
      headersTimeout: config.headersTimeoutMs,
      // A model may think for minutes between two tokens; the call's own limit ends it.
      bodyTimeout: 0,
      allowH2: false,
      connect: (to, callback) =>
        connect(to, (...result) => {
          if (result[1] !== null) this.#socket = result[1];
          callback(...result);
        }),
    });
  }

  dispatch(request: UpstreamRequest, handler: UpstreamHandler): void {
    handler.carrier = this;
    // undici iterates any async iterable; its types know only streams.
    this.#client.dispatch(request as UpstreamRequest & { body: Buffer | null }, handler);
  }

  get socketBroke(): boolean {
    return this.#socket?.errored != null;
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }
}
