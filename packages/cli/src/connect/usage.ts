import type { Api } from "@hoopish/protocol";
import type { Env } from "../world.ts";

/** A connection that is open here. */
export interface Endpoint {
  readonly connection: string;
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

export const originOf = (port: number): string => `http://127.0.0.1:${port}`;

/** The base URL to give to clients of this API. */
export function baseUrl({ api, port }: Endpoint): string {
  return `${originOf(port)}${BASE_PATHS[api] ?? ""}`;
}

export function curlLine({ api, port }: Endpoint, key: string | undefined): string {
  const header = key === undefined ? "" : `-H "Authorization: Bearer ${key}" `;
  return `curl ${header}${originOf(port)}${PROBE_PATHS[api]}`;
}

/** Environment variables for programs that use these endpoints; the first of a kind has the short names. */
export function endpointEnv(endpoints: readonly Endpoint[], key: string | undefined): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  const first = (name: string, value: string): void => {
    env[name] ??= value;
  };
  for (const endpoint of endpoints) {
    first("HOOPISH_URL", originOf(endpoint.port));
    env[`HOOPISH_URL_${variableName(endpoint.connection)}`] = originOf(endpoint.port);
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
