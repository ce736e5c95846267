import { BlockList, isIP } from "node:net";

/** Where a server listens, and the URLs by which it is reached or reaches others. All functions here are pure. */

export interface ListenAddress {
  readonly host: string;
  /** 0: the system chooses one. */
  readonly port: number;
}

/** `127.0.0.1:8443`, `[::1]:8443`, `gateway:8443`. @returns undefined when it is none of these */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) return undefined;
  if (match?.[1] !== undefined && isIP(host) !== 6) return undefined;
  // `127.1:80` and `0:80` mean an address to some resolvers: what looks like an address must be one in full.
  if (/^[\d.]+$/.test(host) && isIP(host) !== 4) return undefined;
  return { host, port };
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether what is sent to this host cannot leave the machine. Names other than `localhost` are not asked for. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (bare === "localhost") return true;
  const family = isIP(bare);
  return family !== 0 && loopback.check(bare, family === 4 ? "ipv4" : "ipv6");
}

/** An http(s) URL with neither user name nor password. @returns undefined when it is none */
export function parseHttpUrl(text: string): URL | undefined {
  // The URL parser forgives what others then read differently: white space, backslashes.
  if (/[\s\\]/.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  return url.username === "" && url.password === "" ? url : undefined;
}

/** Whether what this URL gives can be trusted to come from its host: https, or http that stays on this machine. */
export function isPrivateTransport(url: URL): boolean {
  return url.protocol === "https:" || isLoopback(url.hostname);
}
