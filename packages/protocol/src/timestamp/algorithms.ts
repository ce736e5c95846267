import { type KeyObject, verify } from "node:crypto";
import { type Element, Elements, malformed, oidOf, Tag } from "./der.ts";
import { TimestampError } from "./timestamp-error.ts";

/** Hashes and signatures that are taken. MD5 and SHA-1 are not: who can make collisions could move a signature. */

export type Digest = "sha256" | "sha384" | "sha512";

export const SHA256_OID = "2.16.840.1.101.3.4.2.1";

const DIGESTS: ReadonlyMap<string, Digest> = new Map<string, Digest>([
  [SHA256_OID, "sha256"],
  ["2.16.840.1.101.3.4.2.2", "sha384"],
  ["2.16.840.1.101.3.4.2.3", "sha512"],
]);

interface SignatureKind {
  readonly key: "rsa" | "ec";
  /** Absent (rsaEncryption): the one that the signer names beside it. */
  readonly digest?: Digest;
}

/** RFC 5754 §3. RSASSA-PSS and Ed25519 are not among them: `openssl ts` has neither, so nothing here could be tested. */
const SIGNATURES: ReadonlyMap<string, SignatureKind> = new Map<string, SignatureKind>([
  ["1.2.840.113549.1.1.1", { key: "rsa" }],
  ["1.2.840.113549.1.1.11", { key: "rsa", digest: "sha256" }],
  ["1.2.840.113549.1.1.12", { key: "rsa", digest: "sha384" }],
  ["1.2.840.113549.1.1.13", { key: "rsa", digest: "sha512" }],
  ["1.2.840.10045.4.3.2", { key: "ec", digest: "sha256" }],
  ["1.2.840.10045.4.3.3", { key: "ec", digest: "sha384" }],
  ["1.2.840.10045.4.3.4", { key: "ec", digest: "sha512" }],
]);

const MIN_RSA_BITS = 2048;

/** The object identifier of an AlgorithmIdentifier; what parameters there are say nothing for those taken here. */
export function algorithmOf(element: Element): string {
  if (element.tag !== Tag.sequence) throw malformed("an algorithm is missing");
  const parts = new Elements(element.content);
  const oid = oidOf(parts.take(Tag.oid));
  if (!parts.empty) parts.takeAny();
  parts.end();
  return oid;
}

/** @throws TimestampError signature for one that is not taken */
export function digestOf(element: Element): Digest {
  const digest = DIGESTS.get(algorithmOf(element));
  if (digest === undefined) throw new TimestampError("signature", "the timestamp's hash is not SHA-256, 384 or 512");
  return digest;
}

/** Whether a certificate signed with this algorithm proves anything. */
export function isSoundSignature(oid: string): boolean {
  return SIGNATURES.get(oid)?.digest !== undefined;
}

/** RSA from 2048 bits, elliptic curves. */
export function isSoundKey(key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  return type === "rsa" ? (details?.modulusLength ?? 0) >= MIN_RSA_BITS : type === "ec";
}

/** @param beside the digest that the signer names beside the signature's algorithm */
export function verifySignature(
  algorithm: string,
  beside: Digest,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const kind = SIGNATURES.get(algorithm);
  // The key's type is asked: a signature of one kind must never be checked as another.
  if (kind === undefined || key.asymmetricKeyType !== kind.key || !isSoundKey(key)) return false;
  try {
    return verify(kind.digest ?? beside, signed, key, signature);
  } catch {
    return false;
  }
}
