import type { Api, Protocol } from "@hoopish/protocol";
import type { Env } from "../world.ts";

/** A connection that is open here. */
export interface Endpoint {
  readonly connection: string;
  readonly protocol: Protocol;
  readonly api: Api;
  readonly port: number;
}

/** What local programs send where an API wants a key and none is required: it is not a secret and not looked at. */
const NO_KEY = "hoopish";

/** Below the origin: what the API's clients take for their base. */
const BASE_PATHS: Readonly<Partial<Record<Api, string>>> = { openai: "/v1" };
/** A question that every server of the API answers without a body. */
const PROBE_PATHS: Readonly<Record<Api, string>> = {
  openai: "/v1/models",
  oip: "/v2",
  triton: "/v2",
  tfserving: "/v1/models/MODEL",
  ollama: "/api/tags",
  mlflow: "/ping",
  generic: "/",
};

/** Who a client of PostgreSQL says it is: the agent signs in as somebody else, and nobody looks at it. */
const PG_USER = "hoopish";

const authorityOf = (port: number): string => `127.0.0.1:${port}`;
export const originOf = (port: number): string => `http://127.0.0.1:${port}`;

/** The base URL to give to clients of this API; for gRPC the target, for PostgreSQL the connection URI. */
export function baseUrl({ protocol, api, port }: Endpoint): string {
  switch (protocol) {
    case "http":
      return `${originOf(port)}${BASE_PATHS[api] ?? ""}`;
    case "grpc":
      return authorityOf(port);
    case "postgres":
      return `postgresql://${PG_USER}@${authorityOf(port)}/`;
  }
}

/** One line that shows whether it works. */
export function tryLine({ protocol, api, port }: Endpoint, key: string | undefined): string {
  switch (protocol) {
    case "http": {
      const header = key === undefined ? "" : `-H "Authorization: Bearer ${key}" `;
      return `curl ${header}${originOf(port)}${PROBE_PATHS[api]}`;
    }
    case "grpc":
      return `grpcurl -plaintext ${authorityOf(port)} ${api === "generic" ? "list" : "inference.GRPCInferenceService/ServerReady"}`;
    case "postgres":
      return `psql "host=127.0.0.1 port=${port} user=${PG_USER}"`;
  }
}

/** Environment variables for programs that use these endpoints; the first of a kind has the short names. */
export function endpointEnv(endpoints: readonly Endpoint[], key: string | undefined): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  const first = (name: string, value: string): void => {
    env[name] ??= value;
  };
  for (const endpoint of endpoints) {
    const url = endpoint.protocol === "http" ? originOf(endpoint.port) : baseUrl(endpoint);
    first("HOOPISH_URL", url);
    env[`HOOPISH_URL_${variableName(endpoint.connection)}`] = url;
    if (endpoint.protocol === "postgres") {
      first("PGHOST", "127.0.0.1");
      first("PGPORT", String(endpoint.port));
      first("PGUSER", PG_USER);
      // The tunnel is encrypted; the local port is not.
      first("PGSSLMODE", "disable");
      first("PGGSSENCMODE", "disable");
    }
    if (endpoint.protocol !== "http") continue;
    if (endpoint.api === "openai") {
      first("OPENAI_BASE_URL", baseUrl(endpoint));
      first("OPENAI_API_KEY", key ?? NO_KEY);
    }
    if (endpoint.api === "ollama") first("OLLAMA_HOST", originOf(endpoint.port));
  }
  if (key !== undefined) env.HOOPISH_KEY = key;
  return env;
}

/**
 * The child's whole environment. Where a proxy is set, 127.0.0.1 is exempted from it: many clients would otherwise send
 * the call, with the customer data in it, to the bank's web proxy.
 */
export function childEnv(env: Env, added: Readonly<Record<string, string>>): Env {
  const proxied = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].some((name) => env[name]);
  if (!proxied) return { ...env, ...added };
  const exempt = [env.no_proxy || env.NO_PROXY, "127.0.0.1", "localhost"].filter(Boolean).join(",");
  return { ...env, NO_PROXY: exempt, no_proxy: exempt, ...added };
}

const variableName = (connection: string): string => connection.toUpperCase().replace(/[^A-Z0-9]/g, "_");
