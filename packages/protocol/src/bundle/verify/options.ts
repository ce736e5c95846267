import type { X509Certificate } from "node:crypto";

export interface VerifyOptions {
  /** Verifier keys of the log, and of witnesses. They come from outside the bundle: nothing in it is believed without. */
  readonly keys: readonly string[];
  /** A signed checkpoint that the examiner had before, or got from somebody else than who made the bundle. */
  readonly pin?: string | Uint8Array | undefined;
  /** Of the time-stamp authorities that the examiner trusts; without any, RFC 3161 responses are named as not checked. */
  readonly authorities?: readonly X509Certificate[] | undefined;
  /** After each file of records. */
  readonly onProgress?: ((progress: { readonly records: number }) => void) | undefined;
}
