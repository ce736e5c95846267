import {
  AGENT_AUTH_SCHEME,
  AGENT_TUNNEL_PATH,
  type AgentHello,
  type AgentProof,
  agentClaimBytes,
  serverOrigin,
} from "@hoopish/protocol";
import {
  dialTunnel,
  proxyFor,
  type Reconnecting,
  type ReconnectOptions,
  reconnecting,
  type StreamHandler,
  type Tunnel,
  TunnelDialError,
  type TunnelOptions,
} from "@hoopish/tunnel";
import type { AgentKey } from "./agent-key.ts";
import { type ControlOptions, ControlRefusal, fetchChallenge } from "./control.ts";
import type { Log } from "./log.ts";

export interface ConnectOptions extends Omit<ControlOptions, "signal"> {
  readonly name: string;
  readonly key: AgentKey;
  /** Random per start: two agents of one name are two instances. */
  readonly instance: string;
  readonly hello: AgentHello;
  readonly tunnel: Pick<TunnelOptions, "onStream" | "onHandlerError">;
  readonly log: Log;
  /** Stop when the server refuses the key. Otherwise ask again slowly: an operator may repair it. */
  readonly stopOnRefusal: boolean;
  readonly reconnect: Pick<ReconnectOptions, "minDelayMs" | "maxDelayMs" | "jitter" | "onState">;
  /** Every tunnel that was opened, until it closes. */
  onTunnel(tunnel: Tunnel): void;
}

/** A refused key is tried again after this long. */
const REFUSED_RETRY_MS = 60_000;

/** Keeps one tunnel to the server open: proves the agent's identity, says what it serves, and dials again when it is lost. */
export function connectToServer(options: ConnectOptions): Reconnecting {
  return reconnecting((signal) => dial(options, signal), {
    maxDelayMs: REFUSED_RETRY_MS,
    // Half of each ceiling: 30 s at most for a server that is away, and all of the 60 s for one that refuses.
    jitter: () => Math.random() / 2,
    ...options.reconnect,
  });
}

async function dial(options: ConnectOptions, signal: AbortSignal): Promise<Tunnel> {
  try {
    const authorization = await prove(options, signal);
    const { server, serverCa, env, tunnel: handlers, log } = options;
    const url = new URL(AGENT_TUNNEL_PATH, server);
    const tunnel = await dialTunnel(url, {
      ...handlers,
      headers: { authorization },
      proxy: proxyFor(url, env),
      ca: serverCa,
      signal,
      onClose: ({ code, reason, error }) => log.warn({ code, reason, error: error?.message }, "the tunnel has closed"),
      onDraining: (debug) => log.info({ debug }, "the server drains; another tunnel is dialled"),
    });
    options.onTunnel(tunnel);
    tunnel.open(options.hello, helloHandler(log), { endStream: true });
    return tunnel;
  } catch (error) {
    throw refused(error, options) ?? error;
  }
}

/** What the upgrade's `authorization` header says (agent-auth.ts in the protocol). */
async function prove(options: ConnectOptions, signal: AbortSignal): Promise<string> {
  const { name, instance, key } = options;
  const { nonce } = await fetchChallenge({ ...options, signal });
  const claim = { origin: serverOrigin(options.server), nonce, name, instance };
  const signature = key.sign(agentClaimBytes(claim));
  const proof: AgentProof = { name, instance, nonce, publicKey: key.publicKey, signature };
  return `${AGENT_AUTH_SCHEME} ${Buffer.from(JSON.stringify(proof)).toString("base64url")}`;
}

/** The server has understood and says no; what to throw instead so that the loop does as the operator wants. */
function refused(error: unknown, { log, name, stopOnRefusal }: ConnectOptions): TunnelDialError | undefined {
  const isRefusal = error instanceof ControlRefusal ? error.status < 500 && error.status !== 429 : isFatal(error);
  if (!isRefusal) return undefined;
  const { message, code, hint, status } = error as ControlRefusal | TunnelDialError;
  const next = stopOnRefusal ? "giving up" : `asking again in ${REFUSED_RETRY_MS / 1000} s`;
  log.error({ name, code, status, hint }, `refused: ${message}; ${next}`);
  return new TunnelDialError({
    code,
    message,
    hint,
    status,
    fatal: stopOnRefusal,
    retryAfterMs: REFUSED_RETRY_MS,
    cause: error,
  });
}

function isFatal(error: unknown): boolean {
  return error instanceof TunnelDialError && error.fatal && error.code !== "aborted";
}

function helloHandler(log: Log): StreamHandler {
  return {
    onHeaders: (headers) => {
      if (headers.error !== undefined)
        log.error({ answer: headers.error }, "the server does not take what this agent serves");
    },
    onData: (chunk, stream) => stream.consumed(chunk.length),
    onEnd: () => {},
    onReset: (error) => {
      if (error.origin === "remote")
        log.error({ reason: error.message }, "the server does not take this agent's hello");
    },
  };
}
