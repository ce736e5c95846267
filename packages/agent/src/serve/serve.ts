import {
  type HttpCall,
  postgresCancelSchema,
  postgresOpenSchema,
  type StreamError,
  webSocketOpenSchema,
} from "@hoopish/protocol";
import type { TunnelStream } from "@hoopish/tunnel";
import type { ConnectionConfig } from "../config/config.ts";
import { codeOf } from "../error-code.ts";
import type { Log } from "../log.ts";
import type { Carried, CarriedEvents, Outcome, TargetState } from "./carried.ts";
import { Exchange } from "./exchange.ts";
import { GrpcCall } from "./grpc/grpc-call.ts";
import { createGrpcTarget, type GrpcTarget } from "./grpc/grpc-target.ts";
import { InFlight } from "./in-flight.ts";
import { PostgresLink } from "./postgres/postgres-link.ts";
import { createPostgresTarget, type PostgresTarget } from "./postgres/postgres-target.ts";
import { readCall, whyNotCarried } from "./read-call.ts";
import { refuse } from "./refuse.ts";
import { createUpstream, type Upstream } from "./upstream.ts";
import { WebSocketCall } from "./websocket/websocket-call.ts";

export interface ServeOptions {
  readonly connections: readonly ConnectionConfig[];
  /** For credential commands. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/** Carries the calls that arrive on tunnels to the configured targets, and nowhere else. */
export interface Serving {
  /** For the tunnel: takes a stream that the server opened. */
  readonly onStream: (stream: TunnelStream, endStream: boolean) => void;
  /** For the tunnel: a bug in a handler costs its own call only. */
  readonly onHandlerError: (error: unknown, stream: TunnelStream) => void;
  readonly inFlight: number;
  /** Waits until no call is in flight, at most so long; then gives up those that are left and closes all sockets. */
  close(drainMs: number): Promise<void>;
}

/** One configured target, by what is spoken with it. */
type Endpoint =
  | { readonly protocol: "http"; readonly target: Upstream }
  | { readonly protocol: "grpc"; readonly target: GrpcTarget }
  | { readonly protocol: "postgres"; readonly target: PostgresTarget };

export function createServing({ connections, env, log }: ServeOptions): Serving {
  const endpoints = new Map(connections.map((config) => [config.name, endpointOf(config, env)]));
  const exchanges = new InFlight<Carried>();
  const onIdle = new Set<() => void>();

  const events: CarriedEvents = {
    over(carried, outcome) {
      exchanges.remove(carried);
      report(log, carried, outcome);
      if (exchanges.size === 0) for (const resolve of onIdle) resolve();
    },
  };
  const refused = (stream: TunnelStream, endStream: boolean, error: StreamError, of: object = {}): void => {
    log.warn({ ...of, code: error.code }, error.message);
    refuse(stream, endStream, error);
  };

  function carryCall(stream: TunnelStream, endStream: boolean): void {
    const call = readCall(stream.headers);
    if (call === undefined) {
      refused(stream, endStream, UNREADABLE);
      return;
    }
    const endpoint = endpoints.get(call.connection);
    const refusal =
      endpoint === undefined || endpoint.protocol === "postgres" ? NOT_CONFIGURED : whyRefused(call, endpoint.target);
    if (endpoint === undefined || endpoint.protocol === "postgres" || refusal !== undefined) {
      const error = refusal ?? NOT_CONFIGURED;
      refused(stream, endStream, error, { call: call.call, connection: call.connection });
      return;
    }
    endpoint.target.calls += 1;
    if (endpoint.protocol === "http") {
      const exchange = new Exchange(stream, call, endpoint.target, events);
      stream.handler = exchange;
      exchanges.add(exchange);
      return;
    }
    const started = new GrpcCall(stream, endStream, call, endpoint.target, events);
    stream.handler = started;
    exchanges.add(started);
    started.begin();
  }

  function openDatabase(stream: TunnelStream, endStream: boolean): void {
    const parsed = postgresOpenSchema.safeParse(stream.headers);
    if (!parsed.success || endStream) {
      refused(stream, endStream, UNREADABLE);
      return;
    }
    const open = parsed.data;
    const endpoint = endpoints.get(open.connection);
    if (endpoint?.protocol !== "postgres") {
      refused(stream, endStream, NOT_CONFIGURED, { connection: open.connection });
      return;
    }
    const { target } = endpoint;
    if (target.calls >= target.config.maxCalls || target.links.has(open.link)) {
      refused(stream, endStream, TOO_MANY, { connection: open.connection });
      return;
    }
    target.calls += 1;
    const link = new PostgresLink(stream, open, target, events);
    stream.handler = link;
    exchanges.add(link);
  }

  function openWebSocket(stream: TunnelStream, endStream: boolean): void {
    const parsed = webSocketOpenSchema.safeParse(stream.headers);
    if (!parsed.success) {
      refused(stream, endStream, UNREADABLE);
      return;
    }
    const open = parsed.data;
    const endpoint = endpoints.get(open.connection);
    const ask = { ...open, ":kind": "http", method: "GET" } as const;
    const refusal = endpoint?.protocol === "http" ? whyRefused(ask, endpoint.target) : NOT_CONFIGURED;
    if (endpoint?.protocol !== "http" || refusal !== undefined) {
      refused(stream, endStream, refusal ?? NOT_CONFIGURED, { call: open.call, connection: open.connection });
      return;
    }
    endpoint.target.calls += 1;
    const call = new WebSocketCall(stream, open, endpoint.target, events);
    stream.handler = call;
    exchanges.add(call);
  }

  function cancelQuery(stream: TunnelStream): void {
    const parsed = postgresCancelSchema.safeParse(stream.headers);
    const endpoint = parsed.success ? endpoints.get(parsed.data.connection) : undefined;
    if (parsed.success && endpoint?.protocol === "postgres") {
      endpoint.target.links.get(parsed.data.link)?.cancelQuery();
    }
    stream.handler = {
      onData: (chunk) => stream.consumed(chunk.length),
      onEnd: () => undefined,
      onReset: () => undefined,
    };
    stream.end();
  }

  return {
    onStream(stream, endStream) {
      switch (stream.headers[":kind"]) {
        case "postgres":
          openDatabase(stream, endStream);
          return;
        case "websocket":
          openWebSocket(stream, endStream);
          return;
        case "postgres.cancel":
          cancelQuery(stream);
          return;
        default:
          carryCall(stream, endStream);
      }
    },

    onHandlerError(error, stream) {
      log.error({ error: codeOf(error), at: placeOf(error) }, "a call was lost to a bug in the agent");
      const { handler } = stream;
      if (
        handler instanceof Exchange ||
        handler instanceof GrpcCall ||
        handler instanceof PostgresLink ||
        handler instanceof WebSocketCall
      )
        handler.abort(BUG);
    },

    get inFlight() {
      return exchanges.size;
    },

    async close(drainMs) {
      if (exchanges.size > 0) {
        const { promise: idle, resolve } = Promise.withResolvers<void>();
        onIdle.add(resolve);
        const timer = setTimeout(resolve, drainMs);
        await idle;
        clearTimeout(timer);
        onIdle.delete(resolve);
      }
      for (const exchange of exchanges.all()) exchange.abort(STOPPING);
      await Promise.all([...endpoints.values()].map(({ target }) => target.close()));
    },
  };
}

function endpointOf(config: ConnectionConfig, env: ServeOptions["env"]): Endpoint {
  switch (config.protocol) {
    case "http":
      return { protocol: "http", target: createUpstream(config, env) };
    case "grpc":
      return { protocol: "grpc", target: createGrpcTarget(config, env) };
    case "postgres":
      return { protocol: "postgres", target: createPostgresTarget(config, env) };
  }
}

function whyRefused(call: HttpCall, upstream: TargetState): StreamError | undefined {
  if (upstream.calls >= upstream.config.maxCalls) return TOO_MANY;
  const reason = whyNotCarried(call);
  return reason === undefined ? undefined : { code: "bad_request", message: reason };
}

function report(log: Log, { facts: of, startedMs }: Carried, outcome: Outcome): void {
  // What ends well is the rule, and the log is seldom asked for it.
  if (outcome.kind !== "failed" && !log.isLevelEnabled("debug")) return;
  const facts = { ...of, ms: Math.round(performance.now() - startedMs) };
  switch (outcome.kind) {
    case "answered":
      log.debug({ ...facts, status: outcome.status }, "answered");
      return;
    case "cancelled":
      log.debug({ ...facts, detail: outcome.detail }, "cancelled");
      return;
    case "failed":
      log.warn({ ...facts, code: outcome.error.code, detail: outcome.detail }, outcome.error.message);
  }
}

/** Where an error was thrown; its message stays out of the log, because nobody knows what a bug quotes. */
function placeOf(error: unknown): string | undefined {
  return error instanceof Error ? /^ {4}at .*$/m.exec(error.stack ?? "")?.[0].trim() : undefined;
}

const UNREADABLE: StreamError = { code: "bad_request", message: "the agent cannot read this stream as a call" };
const NOT_CONFIGURED: StreamError = { code: "not_found", message: "the agent has no such connection" };
const TOO_MANY: StreamError = { code: "rate_limited", message: "the agent has too many calls on this connection" };
const STOPPING: StreamError = { code: "agent_unavailable", message: "the agent is stopping" };
const BUG: StreamError = { code: "internal", message: "an internal error; the agent's log has the details" };
