import { SHA256_OID } from "./algorithms.ts";
import { encode, encodeOid, encodeUnsigned, Tag } from "./der.ts";

export const TIMESTAMP_QUERY_TYPE = "application/timestamp-query";
export const TIMESTAMP_REPLY_TYPE = "application/timestamp-reply";

const VERSION = encodeUnsigned(Buffer.from([1]));
const TRUE = encode(Tag.boolean, Buffer.from([0xff]));
const NULL = encode(0x05);

/**
 * TimeStampReq (RFC 3161 §2.4.1) that asks for the authority's certificate too.
 * @param imprint SHA-256 of what is to be stamped, 32 bytes
 * @param nonce random bytes, used once: they tie the answer to this request
 */
export function encodeTimestampRequest(imprint: Uint8Array, nonce: Uint8Array): Buffer {
  if (imprint.length !== 32) throw new RangeError("an imprint is 32 bytes of SHA-256");
  const algorithm = encode(Tag.sequence, encodeOid(SHA256_OID), NULL);
  const messageImprint = encode(Tag.sequence, algorithm, encode(Tag.octetString, imprint));
  return encode(Tag.sequence, VERSION, messageImprint, encodeUnsigned(nonce), TRUE);
}
