import { TunnelErrorCode } from "@hoopish/protocol";

/** Who ended a stream: the peer, this side's tunnel code, or the tunnel itself by ending. */
export type ResetOrigin = "remote" | "local" | "tunnel";

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(TunnelErrorCode).map(([name, code]) => [code, name]),
);

/** The RFC 9113 name of a code, for logs and messages. */
export function errorCodeName(code: TunnelErrorCode): string {
  return codeNames.get(code) ?? String(code);
}

/** A stream ended before both of its directions did. Given to `onReset`, and the error of a destroyed duplex. */
export class StreamResetError extends Error {
  override readonly name = "StreamResetError";
  readonly code: TunnelErrorCode;
  readonly origin: ResetOrigin;
  /** The peer's words, up to 1 KiB: untrusted text. */
  readonly reason: string | undefined;

  constructor(code: TunnelErrorCode, origin: ResetOrigin, reason?: string, options?: ErrorOptions) {
    super(`stream reset (${origin}): ${errorCodeName(code)}${reason ? `: ${reason}` : ""}`, options);
    this.code = code;
    this.origin = origin;
    this.reason = reason;
  }

  /** REFUSED_STREAM: the peer did nothing with the stream, so it may be opened again (RFC 9113 section 8.7). */
  get retryable(): boolean {
    return this.code === TunnelErrorCode.REFUSED_STREAM;
  }
}

/** Why `Tunnel.open` cannot open a stream. All three are known before a byte is sent, so another tunnel may be tried. */
export type TunnelOpenErrorCode = "tunnel_closed" | "tunnel_draining" | "too_many_streams";

export class TunnelOpenError extends Error {
  override readonly name = "TunnelOpenError";
  readonly code: TunnelOpenErrorCode;
  constructor(code: TunnelOpenErrorCode) {
    super(code.replaceAll("_", " "));
    this.code = code;
  }
}
