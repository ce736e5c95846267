import { hash, randomBytes, type X509Certificate } from "node:crypto";
import {
  encodeTimestampRequest,
  HoopishError,
  MAX_TIMESTAMP_BYTES,
  TIMESTAMP_QUERY_TYPE,
  TIMESTAMP_REPLY_TYPE,
  type Timestamp,
  verifyTimestamp,
} from "@hoopish/protocol";
import { boundedFetch } from "../bounded-fetch.ts";

export interface TimestampClientOptions {
  /** May be plain http: what is sent is a hash, and what comes back is signed. */
  readonly url: URL;
  /** Whom to trust: the certificates of the CA file that the configuration names. */
  readonly authorities: readonly X509Certificate[];
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Default 10 000. */
  readonly timeoutMs?: number;
  /** How far the authority's clock may be from ours. Default 600 000: more, and one of the two is wrong. */
  readonly maxSkewMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ObtainedTimestamp {
  /** The whole TimeStampResp: what `openssl ts -verify -in` takes, and the verifier. */
  readonly response: Buffer;
  readonly timestamp: Timestamp;
}

const NONCE_BYTES = 16;

/**
 * Has `data` timestamped (RFC 3161 §3.4, over HTTP) and checks the answer before anybody keeps it.
 * @throws HoopishError unreachable or upstream_failed · TimestampError when the answer is not a good timestamp of `data`
 */
export async function obtainTimestamp(data: Uint8Array, options: TimestampClientOptions): Promise<ObtainedTimestamp> {
  const { url, authorities, now, timeoutMs = 10_000, maxSkewMs = 600_000, signal } = options;
  const imprint = hash("sha256", data, "buffer");
  const nonce = randomBytes(NONCE_BYTES);
  const answer = await boundedFetch(url, {
    method: "POST",
    headers: { "content-type": TIMESTAMP_QUERY_TYPE, accept: TIMESTAMP_REPLY_TYPE },
    body: Uint8Array.from(encodeTimestampRequest(imprint, nonce)),
    timeoutMs,
    maxBytes: MAX_TIMESTAMP_BYTES,
    signal,
  });
  if (answer.status !== 200 || answer.type !== TIMESTAMP_REPLY_TYPE) {
    throw new HoopishError("upstream_failed", `${url.origin} answered ${answer.status}, with no timestamp`, {
      hint: "is this the address of an RFC 3161 authority?",
    });
  }
  const timestamp = verifyTimestamp(answer.body, { imprint, nonce, authorities });
  if (Math.abs(timestamp.genTimeMs - now()) > maxSkewMs) {
    throw new HoopishError("upstream_failed", `the clock of ${url.origin} and that of this machine differ too much`, {
      hint: "one of them is wrong; compare this machine's with a time server",
    });
  }
  return { response: answer.body, timestamp };
}
