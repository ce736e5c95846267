import type { Socket } from "node:net";
import { type buildConnector, Client, type Dispatcher, Pool } from "undici";
import type { ConnectionConfig } from "../config/config.ts";
import { type Credential, createCredential } from "../credential/credential.ts";
import { createConnector } from "./connector.ts";
import type { CallDispatcher, Carrier, UpstreamHandler } from "./dispatcher.ts";
import { Slots } from "./slots.ts";
import { createTrailingDispatcher } from "./trailing-request.ts";

/** One configured model endpoint with its sockets, its credential and its count of calls. */
export interface Upstream {
  readonly config: ConnectionConfig;
  readonly credential: Credential | undefined;
  /** Keep-alive sockets, one call at a time on each. */
  readonly pool: CallDispatcher;
  /** For requests with trailers, which undici does not send. */
  readonly trailing: CallDispatcher;
  /** As many as there may be sockets. */
  readonly slots: Slots;
  /** Calls begun and not over, those that wait for a slot among them. */
  calls: number;
  close(): Promise<void>;
}

export function createUpstream(config: ConnectionConfig, env: Readonly<Record<string, string | undefined>>): Upstream {
  const connect = createConnector(config);
  const pool = new Pool(config.target.origin, {
    connections: config.pool.connections,
    // One call a socket: an answer that is delayed or broken off is then nobody else's trouble.
    pipelining: 1,
    keepAliveTimeout: config.pool.keepAliveMs,
    headersTimeout: config.headersTimeoutMs,
    // A model may think for minutes between two tokens; the call's own limit ends it.
    bodyTimeout: 0,
    allowH2: false,
    connect,
    factory: (origin, options) => new UpstreamClient(origin, options as Client.Options, connect),
  });
  return {
    config,
    credential: config.credential && createCredential(config.credential, env),
    // undici iterates any async iterable; its types know only streams.
    pool: pool as unknown as CallDispatcher,
    trailing: createTrailingDispatcher(config.target.origin, connect),
    slots: new Slots(config.pool.connections),
    calls: 0,
    close: () => pool.destroy(),
  };
}

/** undici's client, which also tells whether its socket broke. */
class UpstreamClient extends Client implements Carrier {
  readonly #current: { socket: Socket | undefined };

  constructor(origin: URL, options: Client.Options, connect: buildConnector.connector) {
    const current: { socket: Socket | undefined } = { socket: undefined };
    super(origin, {
      ...options,
      connect: (to, callback) =>
        connect(to, (...result) => {
          if (result[1] !== null) current.socket = result[1];
          callback(...result);
        }),
    });
    this.#current = current;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    (handler as UpstreamHandler).carrier = this;
    return super.dispatch(options, handler);
  }

  /**
   * The socket ended with an error. undici takes a reset for the end of an answer whose end is the connection's; to us
   * an answer that was cut off is never whole.
   */
  get socketBroke(): boolean {
    return this.#current.socket?.errored != null;
  }
}
