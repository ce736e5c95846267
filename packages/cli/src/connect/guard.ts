/**
 * Who may speak to the local port. It listens on 127.0.0.1, but so does every web page that the person opens speak to
 * 127.0.0.1: a page whose name was rebound to this address (its requests carry the page's own name as Host), or any page
 * that simply posts across origins (its requests carry Origin or Sec-Fetch-Site). And on a machine with several users
 * every one of them reaches the port, hence `--require-key`.
 *
 * Only the first head of each TCP connection is looked at. That is enough, because a connection belongs to one opener:
 * browsers keep connections apart by host name, so a rebound page speaks on connections of its own from their first
 * request on, and today's browsers also keep them apart by the site at the top of the window; who sent the key on a
 * connection's first request knows it. And it is better: a second HTTP parser running along the whole stream could be
 * made to disagree with the server's on where a later request begins. For the one head that is read, everything that two
 * parsers could read differently is refused (RFC 9112 to the letter: no bare CR or LF, no folded lines, no space before
 * a colon, one Host, origin form), and what passes is handed on unchanged. Requests after the first, of a browser that
 * shares connections between sites, are the server's to check: it has the parser that counts.
 *
 * A connection that begins as HTTP/2's or PostgreSQL's do passes unread: no page can make a browser begin so.
 */
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { beginningOf } from "./first-bytes.ts";

/** Node's own limit for a request head is 16 KiB; a guard that is stricter than the server would only confuse. */
export const MAX_HEAD_BYTES: number = 64 * 1024;

export interface GuardRules {
  /** The port of the listener, which Host and Origin must name. */
  readonly port: number;
  /** What local programs must send with `--require-key`. */
  readonly key?: string;
}

export interface Refusal {
  readonly kind: "refuse";
  readonly status: 400 | 401 | 403 | 408 | 431;
  readonly code: "bad_request" | "unauthenticated" | "access_denied" | "request_timeout" | "headers_too_large";
  readonly message: string;
}
export type GuardVerdict =
  | { readonly kind: "more" }
  /** `bytes`: all that came so far, unchanged. */
  | { readonly kind: "pass"; readonly bytes: Buffer }
  | Refusal;

const MORE: GuardVerdict = { kind: "more" };

/** Takes one connection's bytes until its first head is complete. Pure: no sockets, no timers. */
export class HeadGuard {
  readonly #rules: GuardRules;
  #held: Buffer | undefined;
  #length = 0;

  constructor(rules: GuardRules) {
    this.#rules = rules;
  }

  /** Not to be called again after anything but `more`. */
  push(chunk: Buffer): GuardVerdict {
    // The usual case: the whole head in one piece, and no copy.
    const bytes = this.#held === undefined && chunk.includes(END_OF_HEAD) ? chunk : this.#hold(chunk);
    // With a key only what can show it may pass.
    const beginning = this.#rules.key === undefined ? beginningOf(bytes) : "http";
    if (beginning === "http2" || beginning === "postgres") return { kind: "pass", bytes };
    if (beginning === "more") return MORE;
    if (!isTokenByte(bytes[0])) return NOT_HTTP;
    const end = bytes.indexOf(END_OF_HEAD, Math.max(0, this.#length - chunk.length - 3));
    if (end > MAX_HEAD_BYTES || (end === -1 && bytes.length > MAX_HEAD_BYTES)) return TOO_LARGE;
    if (end === -1) return MORE;
    return checkHead(bytes.toString("latin1", 0, end), this.#rules) ?? { kind: "pass", bytes };
  }

  /** A buffer that doubles, so that a head sent byte by byte costs no more than one sent at once. */
  #hold(chunk: Buffer): Buffer {
    const needed = this.#length + chunk.length;
    if (this.#held === undefined || this.#held.length < needed) {
      const larger = Buffer.allocUnsafeSlow(Math.max(1024, needed * 2));
      this.#held?.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#length);
    this.#length = needed;
    return this.#held.subarray(0, needed);
  }
}

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
// The target in origin form (or `*`): an absolute one names a host of its own, and CONNECT asks for a proxy.
const REQUEST_LINE = new RegExp(`^${TOKEN} (?:/[\\x21-\\x7e\\x80-\\xff]*|\\*) HTTP/1\\.[01]$`);
const FIELD_LINE = new RegExp(`^(${TOKEN}):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`);
const LOCAL_AUTHORITY = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?$/i;

const isTokenByte = (byte: number | undefined): boolean =>
  byte !== undefined && /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte));

/** The checks, in order. Undefined: it may pass. */
function checkHead(head: string, rules: GuardRules): Refusal | undefined {
  const [requestLine = "", ...lines] = head.split("\r\n");
  if (!REQUEST_LINE.test(requestLine))
    return refuse(400, "bad_request", "the request line is not HTTP/1.1 to a server");
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const [, name, value] = FIELD_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return refuse(400, "bad_request", "a header line is malformed");
    const key = name.toLowerCase();
    const values = fields.get(key);
    if (values === undefined) fields.set(key, [value]);
    else values.push(value);
  }
  return checkHost(fields, rules.port) ?? checkBrowser(fields, rules.port) ?? checkKey(fields, rules.key);
}

type Fields = ReadonlyMap<string, readonly string[]>;

/** Against DNS rebinding: a rebound page's requests name the page's host. */
function checkHost(fields: Fields, port: number): Refusal | undefined {
  const hosts = fields.get("host") ?? [];
  if (hosts.length !== 1) return refuse(400, "bad_request", "exactly one Host header is required");
  if (isListener(hosts[0] ?? "", port)) return undefined;
  return refuse(403, "access_denied", `this port answers to 127.0.0.1:${port} and localhost:${port} only`);
}

/** Against pages of other origins: browsers name the origin of a post, and the relation of every request. */
function checkBrowser(fields: Fields, port: number): Refusal | undefined {
  const foreign = (fields.get("origin") ?? []).some((origin) => {
    const authority = /^http:\/\/(.*)$/.exec(origin)?.[1];
    return authority === undefined || !isListener(authority, port);
  });
  const crossing = (fields.get("sec-fetch-site") ?? []).some((site) => site !== "same-origin" && site !== "none");
  if (!foreign && !crossing) return undefined;
  return refuse(403, "access_denied", "web pages of other origins may not use this port");
}

/** In any of the headers in which model clients send their API key. */
function checkKey(fields: Fields, key: string | undefined): Refusal | undefined {
  if (key === undefined) return undefined;
  const bearer = (fields.get("authorization") ?? []).map((value) => /^bearer +(.+)$/i.exec(value)?.[1] ?? "");
  const given = [...bearer, ...(fields.get("x-api-key") ?? []), ...(fields.get("api-key") ?? [])];
  if (given.some((one) => isSame(one, key))) return undefined;
  return refuse(401, "unauthenticated", "this port needs the session's key as a bearer token, x-api-key or api-key");
}

function isListener(authority: string, port: number): boolean {
  const match = LOCAL_AUTHORITY.exec(authority);
  return match !== null && Number(match[1] ?? 80) === port;
}

/** Hashed first, so that neither the length nor the first difference shows in the time it takes. */
function isSame(given: string, key: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text, "latin1").digest();
  return timingSafeEqual(hash(given), hash(key));
}

const refuse = (status: Refusal["status"], code: Refusal["code"], message: string): Refusal => ({
  kind: "refuse",
  status,
  code,
  message,
});
const NOT_HTTP: Refusal = refuse(400, "bad_request", "this port speaks plain HTTP: use http:// in the URL, and no TLS");
const TOO_LARGE: Refusal = refuse(431, "headers_too_large", "the request's head is larger than 64 KiB");
/** For a head that does not become complete in time. */
export const TOO_SLOW: Refusal = refuse(408, "request_timeout", "the request's head did not arrive in time");
