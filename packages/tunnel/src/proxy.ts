import { Buffer } from "node:buffer";
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { TunnelDialError } from "./dial-error.ts";

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "ws:": "80", "http:": "80", "wss:": "443", "https:": "443" };

/**
 * The proxy that the environment names for a URL (http, https, ws, wss), or undefined: HTTPS_PROXY for wss and https,
 * HTTP_PROXY for the others, ALL_PROXY for both, NO_PROXY exempts. Either case of the names; the lower case wins.
 * Pure: give it `process.env`.
 */
export function proxyFor(url: string | URL, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const target = new URL(url);
  const read = (name: string) => env[name.toLowerCase()] || env[name.toUpperCase()] || undefined;
  if (isExempt(target, read("no_proxy") ?? "")) return undefined;
  const secure = target.protocol === "wss:" || target.protocol === "https:";
  const proxy = read(secure ? "https_proxy" : "http_proxy") ?? read("all_proxy");
  if (proxy === undefined) return undefined;
  return new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`);
}

/** NO_PROXY: names separated by commas or blanks, `*`, a leading dot or `*.` for subdomains, an optional port. */
function isExempt(target: URL, list: string): boolean {
  const host = target.hostname.toLowerCase();
  const port = target.port || DEFAULT_PORTS[target.protocol];
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true;
      // An IPv6 address may stand bare, but with a port only in brackets.
      const bare = entry.indexOf(":") !== entry.lastIndexOf(":") && !entry.startsWith("[");
      const [, name = entry, entryPort] = (bare ? null : /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry)) ?? [];
      if (entryPort !== undefined && entryPort !== port) return false;
      const suffix = name.replace(/^\*?\.?/, "");
      return suffix !== "" && (host === suffix || host === `[${suffix}]` || host.endsWith(`.${suffix}`));
    });
}

/**
 * A TCP connection to `host:port` through a proxy's CONNECT (RFC 9110 section 9.3.6). The proxy may itself be https;
 * userinfo in its URL becomes Basic credentials.
 * @throws {TunnelDialError} `proxy_failed`, with the proxy's status if it answered; 407 and 403 are fatal.
 */
export function connectThroughProxy(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const authority = `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
  const request = proxy.protocol === "https:" ? httpsRequest : httpRequest;
  const options: RequestOptions = {
    host: proxy.hostname.replace(/^\[|\]$/g, ""),
    port: proxy.port || DEFAULT_PORTS[proxy.protocol],
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...proxyCredentials(proxy) },
    agent: false,
    signal,
  };
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    return Promise.reject(proxyError(`the proxy's scheme ${proxy.protocol} is not http: or https:`, true));
  }
  return new Promise<Socket>((resolve, reject) => {
    const connect: ClientRequest = request(options);
    connect.on("connect", (response: IncomingMessage, socket: Socket, head: Buffer) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) {
        if (head.length > 0) socket.unshift(head);
        return resolve(socket);
      }
      socket.destroy();
      const fatal = status === 407 || status === 403;
      reject(proxyError(`the proxy ${proxy.host} answered ${status} to CONNECT ${authority}`, fatal, status));
    });
    connect.on("error", (cause: Error) => {
      reject(proxyError(`the proxy ${proxy.host} cannot be used: ${cause.message}`, false, undefined, cause));
    });
    connect.end();
  });
}

function proxyCredentials(proxy: URL): Record<string, string> {
  if (proxy.username === "" && proxy.password === "") return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

function proxyError(message: string, fatal: boolean, status?: number, cause?: unknown): TunnelDialError {
  return new TunnelDialError({
    code: "proxy_failed",
    message,
    fatal,
    ...(status === undefined ? {} : { status }),
    ...(cause === undefined ? {} : { cause }),
  });
}
