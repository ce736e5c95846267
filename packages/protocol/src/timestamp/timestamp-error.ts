/** Why a timestamp is not taken. */
export type TimestampFault =
  /** Not what RFC 3161 describes, or not DER. */
  | "malformed"
  /** The authority answered that it gives no timestamp. */
  | "rejected"
  /** It is about other data. */
  | "imprint"
  /** It answers another request. */
  | "nonce"
  /** The signature does not fit, or is of a kind that is not taken. */
  | "signature"
  /** The certificate may not sign timestamps, or not at that time. */
  | "certificate"
  /** No chain to an authority that the reader trusts. */
  | "untrusted";

/** A timestamp, or an answer that should hold one, is not good. The message quotes nothing of what was received. */
export class TimestampError extends Error {
  override readonly name = "TimestampError";
  readonly reason: TimestampFault;

  constructor(reason: TimestampFault, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}
