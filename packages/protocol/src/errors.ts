/**
 * One error class with a closed set of codes, and one table that says what each code is in every protocol.
 * What the table exposes is what a caller sees; a `cause` stays inside the process that has it.
 */

/** How one error code appears outside: HTTP status, gRPC status (google.rpc.Code), SQLSTATE, process exit code. */
export interface ErrorShape {
  readonly http: number;
  readonly grpc: number;
  readonly sqlstate: string;
  readonly exit: number;
  /** A client may send the same call again later and have it succeed. */
  readonly retryable: boolean;
}

const shape = (http: number, grpc: number, sqlstate: string, exit: number, retryable = false): ErrorShape => ({
  http,
  grpc,
  sqlstate,
  exit,
  retryable,
});

/** Every code that hoopish gives. Names are part of the contract with users and scripts. */
export type ErrorCode =
  | "unauthenticated"
  | "access_denied"
  | "policy_blocked"
  | "approval_denied"
  | "approval_expired"
  | "approval_pending"
  | "session_closed"
  | "bad_request"
  | "not_found"
  | "purged"
  | "conflict"
  | "request_too_large"
  | "headers_too_large"
  | "rate_limited"
  | "request_timeout"
  | "response_uninspectable"
  | "response_too_large"
  | "upstream_failed"
  | "upstream_timeout"
  | "agent_unavailable"
  | "evidence_unavailable"
  | "log_inconsistent"
  | "identity_unavailable"
  | "server_draining"
  | "unreachable"
  | "configuration"
  | "usage"
  | "internal";

export const ERROR_SHAPES: Readonly<Record<ErrorCode, ErrorShape>> = {
  unauthenticated: shape(401, 16, "28000", 4),
  access_denied: shape(403, 7, "42501", 5),
  policy_blocked: shape(403, 7, "42501", 5),
  approval_denied: shape(403, 7, "42501", 6),
  approval_expired: shape(403, 7, "42501", 6),
  approval_pending: shape(403, 9, "42501", 6, true),
  session_closed: shape(403, 7, "57P01", 5),
  bad_request: shape(400, 3, "08P01", 3),
  not_found: shape(404, 5, "42704", 1),
  /** It was there, and was destroyed when its time was over: a record says so. */
  purged: shape(410, 5, "42704", 1),
  conflict: shape(409, 6, "42710", 1),
  request_too_large: shape(413, 8, "54000", 1),
  headers_too_large: shape(431, 8, "54000", 1),
  rate_limited: shape(429, 8, "53400", 1, true),
  request_timeout: shape(408, 4, "57014", 1, true),
  response_uninspectable: shape(502, 13, "58000", 1),
  response_too_large: shape(502, 8, "54000", 1),
  upstream_failed: shape(502, 14, "08006", 1, true),
  upstream_timeout: shape(504, 4, "57014", 1, true),
  agent_unavailable: shape(503, 14, "08001", 7, true),
  evidence_unavailable: shape(503, 14, "58030", 7, true),
  /** The evidence log contradicts what it has shown before. */
  log_inconsistent: shape(500, 15, "XX001", 1),
  identity_unavailable: shape(503, 14, "08001", 7, true),
  server_draining: shape(503, 14, "57P01", 7, true),
  unreachable: shape(503, 14, "08001", 7, true),
  configuration: shape(500, 13, "F0000", 78),
  usage: shape(400, 3, "42601", 3),
  internal: shape(500, 13, "XX000", 1),
};

export interface HoopishErrorOptions {
  /** What the reader can do about it; printed as `try: …`. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The one error of hoopish. `message` and `hint` are shown to callers: never put a payload, token or match there. */
export class HoopishError extends Error {
  override readonly name = "HoopishError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: HoopishErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get shape(): ErrorShape {
    return ERROR_SHAPES[this.code];
  }

  /** The body that the control API and `--json` print. */
  toBody(): { error: { code: ErrorCode; message: string; hint?: string } } {
    const error = { code: this.code, message: this.message };
    return { error: this.hint === undefined ? error : { ...error, hint: this.hint } };
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_SHAPES, value);
}

/** Our own errors pass; anything else becomes `internal` with its cause kept, and shows nothing of it to a caller. */
export function toHoopishError(thrown: unknown, code: ErrorCode = "internal", message?: string): HoopishError {
  if (thrown instanceof HoopishError) return thrown;
  return new HoopishError(code, message ?? "an internal error; the server's log has the details", { cause: thrown });
}
