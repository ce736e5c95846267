import { X509Certificate } from "node:crypto";
import { TimestampError } from "./timestamp-error.ts";

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const MAX_AUTHORITIES = 64;

/** The certificates of a PEM file, in their order. @throws TimestampError malformed when there is none, or a broken one */
export function readAuthorities(pem: string): X509Certificate[] {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0 || blocks.length > MAX_AUTHORITIES) {
    throw new TimestampError("malformed", `a CA file holds 1 to ${MAX_AUTHORITIES} certificates in PEM`);
  }
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new TimestampError("malformed", "a certificate of the CA file cannot be read", { cause });
    }
  });
}
