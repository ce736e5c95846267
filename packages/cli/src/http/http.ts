import { type Dispatcher, EnvHttpProxyAgent, request, fetch as undiciFetch } from "undici";
import type { Env } from "../world.ts";
import { networkError } from "./network-error.ts";

/** How long a server may take to accept a connection, to begin its answer, and to go on with it. */
const TIMEOUT_MS = 10_000;

export interface HttpRequest {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Silence allowed before the head and between pieces of the body. */
  readonly timeoutMs?: number;
}

/** One HTTP client for the whole command: proxies from the environment, time limits, errors with a remedy. */
export interface Http {
  /** @throws HoopishError unreachable; an AbortError when the command was stopped */
  request(url: string, options?: HttpRequest): Promise<Dispatcher.ResponseData>;
  /** The same client as a Fetch API, for openid-client. Not aborted with the command: a refresh must reach its end. */
  readonly fetch: typeof globalThis.fetch;
  close(): Promise<void>;
}

/** Private CAs: NODE_EXTRA_CA_CERTS, which Node itself reads. */
export function createHttp(env: Env, signal: AbortSignal): Http {
  const agents = new Map<string, EnvHttpProxyAgent>();
  const agentFor = (url: string): EnvHttpProxyAgent => {
    const scheme = new URL(url).protocol;
    const agent = agents.get(scheme) ?? createAgent(proxyOf(env, scheme), read(env, "NO_PROXY"));
    agents.set(scheme, agent);
    return agent;
  };
  return {
    request: async (url, { method = "GET", headers, body, timeoutMs = TIMEOUT_MS } = {}) => {
      try {
        return await request(url, {
          dispatcher: agentFor(url),
          method,
          headers: { "user-agent": "hoopish", ...headers },
          body: body ?? null,
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
          signal,
        });
      } catch (error) {
        if (signal.aborted) throw error;
        throw networkError(error, new URL(url).origin);
      }
    },
    // undici's own types and those of @types/node describe the same Fetch API and differ in names only.
    fetch: ((url: string, options: RequestInit) =>
      undiciFetch(url, { ...options, dispatcher: agentFor(url) } as never)) as unknown as typeof globalThis.fetch,
    close: async () => {
      // destroy, not close: a command that has its answer does not wait for idle or stuck connections.
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
    },
  };
}

const read = (env: Env, name: string): string => env[name.toLowerCase()] || env[name] || "";

/** The proxy for a scheme, chosen as the tunnel chooses its own (proxyFor of @hoopish/tunnel), or "". */
function proxyOf(env: Env, scheme: string): string {
  const proxy = read(env, scheme === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY") || read(env, "ALL_PROXY");
  return proxy === "" || /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

/** Empty strings are given on purpose: for what is undefined undici reads process.env itself. */
function createAgent(proxy: string, noProxy: string): EnvHttpProxyAgent {
  return new EnvHttpProxyAgent({
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy,
    connect: { timeout: TIMEOUT_MS },
    keepAliveTimeout: 1_000,
  });
}
