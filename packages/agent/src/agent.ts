import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReconnectOptions, ReconnectState, Tunnel } from "@hoopish/tunnel";
import { loadAgentKey } from "./agent-key.ts";
import type { AgentConfig } from "./config/config.ts";
import { connectToServer } from "./connect.ts";
import type { Log } from "./log.ts";
import { createServing } from "./serve/serve.ts";
import { VERSION } from "./version.ts";

/** What the agent takes from the world around it. */
export interface AgentPorts {
  readonly log: Log;
  /** Proxy settings, and what credential commands see. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Stop when the server refuses the key, instead of asking again every minute. */
  readonly stopOnRefusal?: boolean;
  readonly reconnect?: Pick<ReconnectOptions, "minDelayMs" | "maxDelayMs" | "jitter">;
  readonly onState?: (state: AgentState) => void;
}

/** `connecting`: each dial. `waiting`: before the next one. `stopped`: closed, or refused with `stopOnRefusal`. */
export type AgentState =
  | { readonly kind: "connecting" }
  | { readonly kind: "connected" }
  | { readonly kind: "waiting"; readonly delayMs: number; readonly reason: string }
  | { readonly kind: "stopped"; readonly error?: Error };

export interface RunningAgent {
  readonly state: AgentState;
  readonly inFlight: number;
  /** Resolves when there is a tunnel; rejects when the agent has stopped. */
  connected(signal?: AbortSignal): Promise<void>;
  /** Settles when the agent has stopped dialling: with the server's refusal, or undefined after `close`. */
  readonly stopped: Promise<Error | undefined>;
  /** Takes no new calls, lets those in flight finish for at most `drainMs` (default: as configured), then ends. */
  close(drainMs?: number): Promise<void>;
}

/** After the last call has ended: how long its answer may take to reach the server. */
const FLUSH_MS = 2_000;

/**
 * Starts an agent: it dials the server and serves until it is closed.
 * @throws HoopishError configuration: the key file is missing or holds no key
 */
export function startAgent(config: AgentConfig, ports: AgentPorts): RunningAgent {
  const { log, env } = ports;
  const key = loadAgentKey(config.keyFile);
  if (key.exposed) log.warn({ keyFile: config.keyFile }, "the key can be read by others; make it 0600");
  const serving = createServing({ connections: config.connections, env, log });
  const tunnels = new Set<Tunnel>();
  const loop = connectToServer({
    server: config.server,
    serverCa: config.serverCa,
    env,
    name: config.name,
    key,
    instance: randomUUID(),
    hello: {
      ":kind": "agent.hello",
      version: VERSION,
      connections: config.connections.map(({ name, protocol }) => ({ name, protocol })),
    },
    tunnel: { onStream: serving.onStream, onHandlerError: serving.onHandlerError },
    log,
    stopOnRefusal: ports.stopOnRefusal ?? false,
    reconnect: {
      ...ports.reconnect,
      onState: (state) => {
        tell(log, state, config);
        ports.onState?.(stateOf(state));
      },
    },
    onTunnel: (tunnel) => {
      tunnels.add(tunnel);
      void tunnel.closed.then(() => tunnels.delete(tunnel));
    },
  });

  return {
    get state() {
      return stateOf(loop.state);
    },
    get inFlight() {
      return serving.inFlight;
    },
    connected: (signal) => loop.connected(signal).then(() => {}),
    stopped: loop.stopped,
    async close(drainMs = config.drainMs) {
      loop.stop();
      await serving.close(drainMs);
      const closed = Promise.all([...tunnels].map((tunnel) => tunnel.closed));
      await Promise.race([closed, sleep(FLUSH_MS, undefined, { ref: false })]);
      for (const tunnel of tunnels) tunnel.close(1001, "the agent is stopping");
      await loop.stopped;
    },
  };
}

function stateOf(state: ReconnectState): AgentState {
  switch (state.kind) {
    case "connecting":
    case "connected":
      return { kind: state.kind };
    case "waiting":
      return { kind: "waiting", delayMs: state.delayMs, reason: state.error.message };
    case "stopped":
      return state.error === undefined ? { kind: "stopped" } : { kind: "stopped", error: state.error };
  }
}

function tell(log: Log, state: ReconnectState, { server, name }: AgentConfig): void {
  if (state.kind === "connected") log.info({ server, name }, "connected to the server");
  if (state.kind === "waiting") {
    log.warn({ server, attempt: state.attempt, delayMs: state.delayMs, reason: state.error.message }, "not connected");
  }
}
