import type { HttpCall, StreamError } from "@hoopish/protocol";
import type { TunnelStream } from "@hoopish/tunnel";
import type { ConnectionConfig } from "../config/config.ts";
import { codeOf } from "../error-code.ts";
import type { Log } from "../log.ts";
import { Exchange, type ExchangeEvents, type Outcome } from "./exchange.ts";
import { InFlight } from "./in-flight.ts";
import { readCall, whyNotCarried } from "./read-call.ts";
import { refuse } from "./refuse.ts";
import { createUpstream, type Upstream } from "./upstream.ts";

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

export function createServing({ connections, env, log }: ServeOptions): Serving {
  const upstreams = new Map(connections.map((config) => [config.name, createUpstream(config, env)]));
  const exchanges = new InFlight<Exchange>();
  const onIdle = new Set<() => void>();

  const events: ExchangeEvents = {
    over(exchange, outcome) {
      exchanges.remove(exchange);
      report(log, exchange, outcome);
      if (exchanges.size === 0) for (const resolve of onIdle) resolve();
    },
  };

  return {
    onStream(stream, endStream) {
      const call = readCall(stream.headers);
      if (call === undefined) {
        log.warn({ code: UNREADABLE.code }, UNREADABLE.message);
        refuse(stream, endStream, UNREADABLE);
        return;
      }
      const upstream = upstreams.get(call.connection);
      const refusal = upstream === undefined ? NOT_CONFIGURED : whyRefused(call, upstream);
      if (upstream === undefined || refusal !== undefined) {
        const error = refusal ?? NOT_CONFIGURED;
        log.warn({ call: call.call, connection: call.connection, code: error.code }, error.message);
        refuse(stream, endStream, error);
        return;
      }
      upstream.calls += 1;
      const exchange = new Exchange(stream, call, upstream, events);
      stream.handler = exchange;
      exchanges.add(exchange);
    },

    onHandlerError(error, stream) {
      log.error({ error: codeOf(error), at: placeOf(error) }, "a call was lost to a bug in the agent");
      if (stream.handler instanceof Exchange) stream.handler.abort(BUG);
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
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    },
  };
}

function whyRefused(call: HttpCall, upstream: Upstream): StreamError | undefined {
  if (upstream.calls >= upstream.config.maxCalls) return TOO_MANY;
  const reason = whyNotCarried(call);
  return reason === undefined ? undefined : { code: "bad_request", message: reason };
}

function report(log: Log, { call, startedMs }: Exchange, outcome: Outcome): void {
  // What ends well is the rule, and the log is seldom asked for it.
  if (outcome.kind !== "failed" && !log.isLevelEnabled("debug")) return;
  const facts = { call: call.call, connection: call.connection, ms: Math.round(performance.now() - startedMs) };
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
