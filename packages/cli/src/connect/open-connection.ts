import { HoopishError, type SessionEvent, type SessionInfo } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { VERSION } from "../version.ts";
import type { FrontDoor } from "./front-door.ts";
import { Keeper } from "./keeper.ts";
import type { Link } from "./link.ts";
import type { Reporter } from "./reporter.ts";
import { baseUrl, type Endpoint, endpointEnv, tryLine } from "./usage.ts";

export interface OpenConnectionParts {
  readonly context: Context;
  readonly name: string;
  readonly door: FrontDoor;
  readonly link: Link;
  readonly reporter: Reporter;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
  /** What local programs must send. */
  readonly key: string | undefined;
  readonly signal: AbortSignal;
}

/** One of the connections of this command: door, session, and what is told of it. */
export class OpenConnection {
  /** Settles when the session is open for the first time, or was refused. */
  readonly ready: Promise<Endpoint>;
  readonly #keeper: Keeper;
  readonly #door: FrontDoor;
  #refuse: (error: unknown) => void = () => {};
  #info: SessionInfo | undefined;
  readonly #reporter: Reporter;

  constructor({ context, name, door, link, reporter, reason, ticket, key, signal }: OpenConnectionParts) {
    this.#reporter = reporter;
    this.#door = door;
    let settle: (endpoint: Endpoint) => void = () => {};
    this.ready = new Promise((resolve, reject) => {
      settle = resolve;
      this.#refuse = reject;
    });
    const request = {
      ":kind": "session.open" as const,
      connection: name,
      host: context.world.host,
      client: `hoopish/${VERSION}`,
      ...(reason !== undefined && { reason }),
      ...(ticket !== undefined && { ticket }),
      ...(reporter.calls && { calls: true }),
    };
    const onReady = (info: SessionInfo): void => {
      this.#info = info;
      const { protocol } = info;
      const endpoint: Endpoint = { connection: name, protocol, api: info.api, port: door.port };
      const { id: session, api, expiresAt } = info;
      const url = baseUrl(endpoint);
      const env = endpointEnv([endpoint], key);
      const tryIt = tryLine(endpoint, key);
      reporter.tell({
        event: "ready",
        connection: name,
        session,
        url,
        port: door.port,
        env,
        protocol,
        api,
        expiresAt,
        try: tryIt,
      });
      settle(endpoint);
    };
    const onEvent = (info: SessionInfo, event: SessionEvent): void => {
      if (event.event !== "draining") reporter.tell({ ...event, connection: name, session: info.id });
    };
    this.#keeper = new Keeper(link, request, { onReady, onEvent }, signal, key !== undefined);
    door.receive(this.#keeper, key === undefined ? {} : { key });
  }

  /** @throws HoopishError always, in the end: a session that ended for good is why the command ends */
  async run(): Promise<never> {
    const { code, reason } = await this.#keeper.run().catch((error: unknown) => {
      this.#refuse(error);
      throw error;
    });
    this.#door.close();
    throw new HoopishError(code, `the session was ended: ${reason}`, {
      hint: "hoopish connect opens a new one, if you may",
    });
  }

  async close(): Promise<void> {
    await this.#keeper.close();
    if (this.#info === undefined) return;
    this.#reporter.tell({ event: "closed", connection: this.#info.connection, session: this.#info.id });
  }
}
