import type { HeaderList } from "@hoopish/protocol";

/** Fields that speak of one hop only (RFC 9110 §7.6.1), and framing that each hop makes anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "expect",
  "host",
]);

/**
 * The client's own credentials never reach the model server, and the answer must come in a form that can be inspected,
 * so the client cannot ask for a compressed one.
 */
const CLIENT_ONLY: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "accept-encoding",
  // They would make of the call that was judged another one.
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
]);

const ANSWER_DROPS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "hoopish-call",
  "hoopish-receipt",
  "hoopish-approval",
]);

/** What goes to the agent. Fields that `connection` names go no further either. */
export function forwardedHeaders(headers: HeaderList, without: readonly string[] = []): string[] {
  const kept = filtered(headers, HOP_BY_HOP, CLIENT_ONLY);
  return without.length === 0 ? kept : filtered(kept, new Set(without), undefined);
}

/** What of the model server's answer goes to the client. `content-length` stays: the body is passed on as it is. */
export function answerHeaders(headers: HeaderList): string[] {
  return filtered(headers, ANSWER_DROPS, undefined);
}

function filtered(headers: HeaderList, drop: ReadonlySet<string>, also: ReadonlySet<string> | undefined): string[] {
  const named = connectionOptions(headers);
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (drop.has(name) || also?.has(name) === true || named?.has(name) === true) continue;
    kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

function connectionOptions(headers: HeaderList): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] !== "connection") continue;
    const value = (headers[i + 1] as string).toLowerCase();
    // By far the most common value names nothing.
    if (value === "keep-alive" || value === "close") continue;
    named ??= new Set();
    for (const option of value.split(",")) named.add(option.trim());
  }
  return named;
}

/** The value of a field that may stand once; undefined when absent. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

export function withoutHeaders(headers: HeaderList, names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!names.includes(headers[i] as string)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}
