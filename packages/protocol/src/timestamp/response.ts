import { type Element, inside, malformed, readOnly, smallIntegerOf, Tag } from "./der.ts";
import { TimestampError } from "./timestamp-error.ts";

/** A response of an authority has 1 to 7 KiB, most of it certificates. */
export const MAX_TIMESTAMP_BYTES = 65_536;

/** PKIStatus of RFC 3161 §2.4.2 from 2 on. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [2, "rejection"],
  [3, "waiting"],
  [4, "revocation is near"],
  [5, "revocation has taken place"],
]);

/** PKIFailureInfo: the bits that RFC 3161 §2.4.2 names. */
const FAILURES: ReadonlyMap<number, string> = new Map([
  [0, "the hash is not taken"],
  [2, "the request is not understood"],
  [5, "the request is malformed"],
  [14, "its clock is not available"],
  [15, "the policy is not taken"],
  [16, "an extension is not taken"],
  [17, "the additional information is not available"],
  [25, "a failure of the authority's system"],
]);

/**
 * TimeStampResp (RFC 3161 §2.4.2) → the DER of its token, a CMS ContentInfo.
 * @throws TimestampError malformed, or rejected with the authority's reason by number
 */
export function readTimestampResponse(response: Uint8Array): Buffer {
  if (response.length > MAX_TIMESTAMP_BYTES) throw malformed(`it has more than ${MAX_TIMESTAMP_BYTES} bytes`);
  const outer = inside(readOnly(asBuffer(response), Tag.sequence));
  const info = inside(outer.take(Tag.sequence));
  const status = smallIntegerOf(info.take(Tag.integer));
  // What the authority writes for people is not shown: it could be anything.
  info.takeIf(Tag.sequence);
  const failure = info.takeIf(Tag.bitString);
  info.end();
  // 0 granted, 1 granted with modifications: what is modified is seen when the token is checked.
  if (status > 1) throw new TimestampError("rejected", `the authority gives no timestamp: ${refusal(status, failure)}`);
  const token = outer.take(Tag.sequence).whole;
  outer.end();
  return token;
}

function refusal(status: number, failure: Element | undefined): string {
  const word = REFUSALS.get(status) ?? `status ${status}`;
  const bits = failure?.content.subarray(1) ?? Buffer.alloc(0);
  const reasons = [...FAILURES].filter(([bit]) => ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  return [word, ...reasons.map(([, reason]) => reason)].join(", ");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
