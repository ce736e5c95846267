import { HoopishError } from "@hoopish/protocol";

/** 127.0.0.0/8, ::1 and `localhost`: traffic that never leaves the machine, so TLS may be absent. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * `gateway.bank.example` or a URL → the server's origin. A bearer token goes there, so plain http is for loopback only.
 * @throws HoopishError usage
 */
export function parseServerUrl(text: string): string {
  const withScheme = text.includes("://") ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  const good = url !== undefined && (url.protocol === "https:" || url.protocol === "http:") && url.hostname !== "";
  const bare = good && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!bare) {
    throw new HoopishError("usage", `"${text}" is not a server's address`, {
      hint: "write it as https://gateway.bank.example, without a path",
    });
  }
  if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
    throw new HoopishError("usage", `${url.origin} is not encrypted, and your token would go there`, {
      hint: `use https://${url.host}; plain http is for 127.0.0.1 only`,
    });
  }
  return url.origin;
}

export function noServer(): HoopishError {
  return new HoopishError("usage", "no server is known", {
    hint: "hoopish login --server https://gateway.bank.example, or set HOOPISH_SERVER",
  });
}
