import { hash, type X509Certificate } from "node:crypto";
import { SHA256_OID, verifySignature } from "./algorithms.ts";
import {
  type Certificate,
  issued,
  isValidAt,
  maySignTimestamps,
  readCertificate,
  subjectKeyIdentifierOf,
} from "./certificate.ts";
import { encodeUnsigned, integerOf, readOnly, Tag } from "./der.ts";
import { readTimestampResponse } from "./response.ts";
import { readSignedData, type Signer } from "./signed-data.ts";
import { TimestampError } from "./timestamp-error.ts";
import { readTstInfo } from "./tst-info.ts";

/** A timestamp that was checked: its authority says that the data, by its hash, was there at `genTimeMs`. */
export interface Timestamp {
  /** Unix milliseconds, by the authority's clock. */
  readonly genTimeMs: number;
  readonly accuracyMs: number | undefined;
  /** Object identifier of the policy under which the authority works. */
  readonly policy: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** The signer's name as OpenSSL writes it, one attribute a line. */
  readonly signer: string;
}

export interface TimestampExpectation {
  /** SHA-256 of the data that should be stamped. */
  readonly imprint: Uint8Array;
  /** The request's nonce; absent where the token is checked later, by somebody who did not ask for it. */
  readonly nonce?: Uint8Array;
  /**
   * Who is trusted: authorities, or the signer's own certificate. They also serve where the token brings no certificate.
   * They come from the reader's configuration, never from where the timestamp came from.
   */
  readonly authorities: readonly X509Certificate[];
}

/** Authorities between the signer and the one that is trusted, at most. */
const MAX_CHAIN = 5;

/**
 * Checks a TimeStampResp (RFC 3161 §2.4.2; what `openssl ts` calls a response, `.tsr`) offline, top to bottom. Revocation
 * is not asked after: a list of revoked certificates would have to come from a network.
 * Certificates must be valid at the time that the token states: it proves that time to whoever trusts the authority.
 * @throws TimestampError
 */
export function verifyTimestamp(response: Uint8Array, expected: TimestampExpectation): Timestamp {
  const { content, certificates, signer } = readSignedData(readTimestampResponse(response));
  const info = readTstInfo(content);
  // 1 It is about this data, and answers this request.
  if (info.imprint.algorithm !== SHA256_OID || !info.imprint.hash.equals(expected.imprint)) {
    throw new TimestampError("imprint", "the timestamp is about other data");
  }
  if (expected.nonce !== undefined && !sameNumber(info.nonce, expected.nonce)) {
    throw new TimestampError("nonce", "the timestamp answers another request");
  }
  // 2 The certificate that the signature names is at hand.
  const authorities = expected.authorities.map(({ raw }) => readCertificate(raw));
  const pool = distinct([...certificates.map(readCertificate), ...authorities]);
  const certificate = pool.find((one) => isSigner(one, signer));
  if (certificate === undefined) throw new TimestampError("certificate", "the signer's certificate is not there");
  // 3 The signature covers what is said and which certificate says it.
  checkSignature(signer, content, certificate);
  // 4 That certificate is for timestamps, and 5 somebody whom the reader trusts answers for it, at that time.
  if (!maySignTimestamps(certificate)) {
    throw new TimestampError("certificate", "the signer's certificate is not one for timestamps alone (RFC 3161 §2.3)");
  }
  if (!isValidAt(certificate, info.genTimeMs)) {
    throw new TimestampError("certificate", "the signer's certificate is not valid at the time of the timestamp");
  }
  if (!hasChain(certificate, pool, authorities, info.genTimeMs)) {
    throw new TimestampError("untrusted", "the timestamp's authority is none of those that are trusted here");
  }
  const { genTimeMs, accuracyMs, policy, serial } = info;
  return { genTimeMs, accuracyMs, policy, serial, signer: certificate.x509.subject };
}

/** What a token says, believed by nobody yet: for lists, and to know which data it could be about. @throws TimestampError */
export function describeTimestamp(response: Uint8Array): { readonly genTimeMs: number; readonly imprint: Buffer } {
  const { genTimeMs, imprint } = readTstInfo(readSignedData(readTimestampResponse(response)).content);
  if (imprint.algorithm !== SHA256_OID) throw new TimestampError("imprint", "the timestamp's imprint is not SHA-256");
  return { genTimeMs, imprint: imprint.hash };
}

function sameNumber(content: Buffer | undefined, digits: Uint8Array): boolean {
  return content?.equals(integerOf(readOnly(encodeUnsigned(digits), Tag.integer))) ?? false;
}

function distinct(certificates: readonly Certificate[]): Certificate[] {
  return [...new Map(certificates.map((one) => [hash("sha256", one.raw), one])).values()];
}

function isSigner(certificate: Certificate, { id }: Signer): boolean {
  if ("keyIdentifier" in id) return subjectKeyIdentifierOf(certificate)?.equals(id.keyIdentifier) ?? false;
  return certificate.issuer.equals(id.issuer) && certificate.serial.equals(id.serial);
}

function checkSignature(signer: Signer, content: Buffer, certificate: Certificate): void {
  const named = signer.certificateHashes.every((it) => it.hash.equals(hash(it.digest, certificate.raw, "buffer")));
  if (!named) throw new TimestampError("signature", "the timestamp was signed for another certificate");
  if (!signer.messageDigest.equals(hash(signer.digest, content, "buffer"))) {
    throw new TimestampError("signature", "the timestamp was changed after it was signed");
  }
  const { signatureAlgorithm, digest, signed, signature } = signer;
  if (!verifySignature(signatureAlgorithm, digest, certificate.x509.publicKey, signed, signature)) {
    throw new TimestampError("signature", "the timestamp's signature is not good");
  }
}

/** Each certificate of the pool is tried once at most, so that a token full of them costs little. */
function hasChain(
  signer: Certificate,
  pool: readonly Certificate[],
  trusted: readonly Certificate[],
  atMs: number,
): boolean {
  const seen = new Set<Certificate>();
  const reaches = (certificate: Certificate, below: number): boolean => {
    if (seen.has(certificate) || !isValidAt(certificate, atMs)) return false;
    seen.add(certificate);
    if (trusted.some(({ raw }) => raw.equals(certificate.raw))) return true;
    if (below > MAX_CHAIN) return false;
    return pool.some((issuer) => !seen.has(issuer) && issued(issuer, certificate, below) && reaches(issuer, below + 1));
  };
  return reaches(signer, 0);
}
