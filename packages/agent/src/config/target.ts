import type { Target } from "./config.ts";

const PROTOCOLS: Readonly<Record<string, Pick<Target, "protocol" | "secure"> & { readonly port?: number }>> = {
  "http:": { protocol: "http", secure: false, port: 80 },
  "https:": { protocol: "http", secure: true, port: 443 },
  "grpc:": { protocol: "grpc", secure: false },
  "grpcs:": { protocol: "grpc", secure: true, port: 443 },
  // Whether TLS is asked for stands under `tls:`.
  "postgres:": { protocol: "postgres", secure: false, port: 5432 },
  "postgresql:": { protocol: "postgres", secure: false, port: 5432 },
};

/** `http://host:8000/base`, `grpcs://host:8001`, `postgres://host/database`. @returns what is wrong with it, in words, for others */
export function parseTarget(written: string): Target | string {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  const known = url === undefined ? undefined : PROTOCOLS[url.protocol];
  if (url === undefined || known === undefined) {
    return "not a target; write http://host:port, https://, grpc://, grpcs:// or postgres://host:port/database";
  }
  if (url.username !== "" || url.password !== "") {
    return "a credential does not belong in the address; write it under credential:";
  }
  const { protocol, secure } = known;
  const path = url.pathname.replace(/\/+$/, "");
  if (url.search !== "" || url.hash !== "") return "a target is scheme, host, port and at most a path";
  if (protocol === "grpc" && path !== "") return "a gRPC target is scheme, host and port only";
  if (protocol === "postgres" && path.indexOf("/", 1) !== -1) return "write postgres://host:port/database";
  const port = url.port === "" ? known.port : Number(url.port);
  if (url.hostname === "" || port === undefined) return "name the host and the port";
  return {
    protocol,
    secure,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    database: protocol === "postgres" ? decodeURIComponent(path.slice(1)) : "",
    origin: `${secure ? "https" : "http"}://${url.hostname}${isDefault(secure, port) ? "" : `:${port}`}`,
    basePath: protocol === "http" ? path : "",
  };
}

const isDefault = (secure: boolean, port: number): boolean => port === (secure ? 443 : 80);
