import type { Buffer } from "node:buffer";

/**
 * `unreachable`: no connection, or it broke. `timeout`, `aborted`: the caller's limits. `proxy_failed`: the proxy said no
 * or is not there. `tls_untrusted`: the server's certificate does not hold. `bad_handshake`: it answers, but is no tunnel
 * server. `refused`: an HTTP refusal without a code of its own. Any other is the code of the server's refusal.
 */
export type TunnelDialErrorCode =
  | "unreachable"
  | "timeout"
  | "aborted"
  | "proxy_failed"
  | "tls_untrusted"
  | "bad_handshake"
  | "refused"
  | (string & {});

export interface TunnelDialErrorOptions {
  readonly code: TunnelDialErrorCode;
  readonly message: string;
  /** Dialling again with the same credentials and settings cannot help. */
  readonly fatal: boolean;
  /** HTTP status of the refusal, by the server or the proxy. */
  readonly status?: number | undefined;
  /** The refusal's `error.hint`. */
  readonly hint?: string | undefined;
  /** The refusal's `retry-after`, milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A tunnel could not be opened. The only error of `dialTunnel`. */
export class TunnelDialError extends Error {
  override readonly name = "TunnelDialError";
  readonly code: TunnelDialErrorCode;
  readonly fatal: boolean;
  readonly status: number | undefined;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(options: TunnelDialErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.fatal = options.fatal;
    this.status = options.status;
    this.hint = options.hint;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Statuses that another try may change: time, load, a server or balancer that is restarting. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_TEXT = 500;

/** A refusal in HTTP. `body` is the server's or somebody else's on the way: it is read with suspicion. */
export function refusalError(status: number, retryAfter: string | undefined, body: Buffer): TunnelDialError {
  const error = readErrorBody(body);
  const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
  return new TunnelDialError({
    status,
    code: error.code ?? "refused",
    message: error.message ?? `the server answered ${status} to the tunnel request`,
    hint: error.hint,
    fatal: !PASSING_STATUSES.has(status),
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

function readErrorBody(body: Buffer): { code?: string; message?: string; hint?: string } {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    return {};
  }
  const error = (value as { error?: unknown } | null)?.error;
  if (typeof error !== "object" || error === null) return {};
  const texts = Object.entries(error).filter(([, text]) => typeof text === "string");
  return Object.fromEntries(texts.map(([name, text]) => [name, String(text).slice(0, MAX_TEXT)]));
}

/** Errors of certificate checks by OpenSSL and Node: the peer is there, but it is not who it should be. */
const UNTRUSTED =
  /^(CERT_|ERR_TLS_CERT_ALTNAME|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET_ISSUER|VERIFY)|INVALID_CA|HOSTNAME_MISMATCH)/;

/** Whatever else went wrong on the way to an open WebSocket. */
export function toDialError(thrown: unknown): TunnelDialError {
  if (thrown instanceof TunnelDialError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const system = (error as NodeJS.ErrnoException).code ?? "";
  const message = error.message || system;
  if (UNTRUSTED.test(system)) {
    return new TunnelDialError({ code: "tls_untrusted", message, fatal: false, cause: error });
  }
  // ws reports what is wrong with the answer as errors without a code; a URL that is none is a TypeError.
  const handshake = system === "" || system.startsWith("HPE_") || system === "ERR_INVALID_URL";
  const fatal = error instanceof TypeError || error instanceof SyntaxError;
  return new TunnelDialError({ code: handshake ? "bad_handshake" : "unreachable", message, fatal, cause: error });
}
