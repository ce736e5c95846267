import { X509Certificate } from "node:crypto";
import { algorithmOf, isSoundKey, isSoundSignature } from "./algorithms.ts";
import { booleanOf, type Element, Elements, inside, integerOf, oidOf, readOnly, smallIntegerOf, Tag } from "./der.ts";
import { TimestampError } from "./timestamp-error.ts";

/**
 * What of an X.509 certificate (RFC 5280 §4.1) Node does not say: the exact names, the serial, which extensions are
 * critical. Keys, dates and the signatures between certificates are OpenSSL's work, through node:crypto.
 */
export interface Certificate {
  readonly raw: Buffer;
  readonly x509: X509Certificate;
  /** DER of the names. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Content of the serial number's INTEGER. */
  readonly serial: Buffer;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly signatureAlgorithm: string;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

const EXTENSION = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  certificatePolicies: "2.5.29.32",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** RFC 5280 §4.2: a certificate with any other critical extension must be refused. Policies: any will do for us. */
const UNDERSTOOD: ReadonlySet<string> = new Set(Object.values(EXTENSION));

const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
const ANY_PURPOSE = "2.5.29.37.0";
const MAX_EXTENSIONS = 64;

/** @throws TimestampError malformed */
export function readCertificate(der: Buffer): Certificate {
  const outer = inside(readOnly(der, Tag.sequence));
  const body = inside(outer.take(Tag.sequence));
  const signatureAlgorithm = algorithmOf(outer.take(Tag.sequence));
  outer.take(Tag.bitString);
  outer.end();
  body.takeIf(Tag.context(0));
  const serial = integerOf(body.take(Tag.integer));
  body.take(Tag.sequence);
  const issuer = body.take(Tag.sequence).whole;
  body.take(Tag.sequence);
  const subject = body.take(Tag.sequence).whole;
  body.take(Tag.sequence);
  body.takeIf(Tag.implicit(1));
  body.takeIf(Tag.implicit(2));
  const extensions = readExtensions(body.takeIf(Tag.context(3)));
  body.end();
  return { raw: der, x509: parseX509(der), issuer, subject, serial, extensions, signatureAlgorithm };
}

function parseX509(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new TimestampError("malformed", "a certificate cannot be read", { cause });
  }
}

function readExtensions(explicit: Element | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  if (explicit === undefined) return extensions;
  for (const element of inside(readOnly(explicit.content, Tag.sequence)).takeAll(MAX_EXTENSIONS)) {
    const parts = inside(readOnly(element.whole, Tag.sequence));
    const oid = oidOf(parts.take(Tag.oid));
    const flag = parts.takeIf(Tag.boolean);
    const value = parts.take(Tag.octetString).content;
    parts.end();
    if (extensions.has(oid)) throw new TimestampError("malformed", "a certificate says one thing twice");
    extensions.set(oid, { critical: flag !== undefined && booleanOf(flag), value });
  }
  return extensions;
}

export function subjectKeyIdentifierOf(certificate: Certificate): Buffer | undefined {
  const extension = certificate.extensions.get(EXTENSION.subjectKeyIdentifier);
  return extension && readOnly(extension.value, Tag.octetString).content;
}

/** RFC 3161 §2.3: extended key usage critical, with timestamping alone; and it may sign at all. */
export function maySignTimestamps(certificate: Certificate): boolean {
  const purposes = certificate.extensions.get(EXTENSION.extendedKeyUsage);
  if (purposes === undefined || !purposes.critical) return false;
  const [purpose, ...others] = purposesOf(purposes);
  if (purpose !== TIME_STAMPING || others.length > 0) return false;
  const usage = usageOf(certificate);
  // digitalSignature or nonRepudiation (RFC 5280 §4.2.1.3).
  return (usage === undefined || (usage & 0xc0) !== 0) && isSound(certificate);
}

/** Whether `issuer` stands above `certificate` in a chain with `below` certificates of authorities between it and the signer. */
export function issued(issuer: Certificate, certificate: Certificate, below: number): boolean {
  if (!issuer.subject.equals(certificate.issuer) || !isSound(issuer)) return false;
  if (!mayIssue(issuer, below) || !isSoundSignature(certificate.signatureAlgorithm)) return false;
  return certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
}

export function isValidAt(certificate: Certificate, ms: number): boolean {
  const { validFromDate, validToDate } = certificate.x509;
  return ms >= validFromDate.getTime() && ms <= validToDate.getTime();
}

function isSound(certificate: Certificate): boolean {
  for (const [oid, { critical }] of certificate.extensions) if (critical && !UNDERSTOOD.has(oid)) return false;
  return isSoundKey(certificate.x509.publicKey);
}

function mayIssue(issuer: Certificate, below: number): boolean {
  const constraints = issuer.extensions.get(EXTENSION.basicConstraints);
  if (constraints === undefined) return false;
  const parts = inside(readOnly(constraints.value, Tag.sequence));
  const flag = parts.takeIf(Tag.boolean);
  const longest = parts.takeIf(Tag.integer);
  parts.end();
  if (flag === undefined || !booleanOf(flag)) return false;
  if (longest !== undefined && smallIntegerOf(longest) < below) return false;
  const usage = usageOf(issuer);
  // keyCertSign.
  if (usage !== undefined && (usage & 0x04) === 0) return false;
  const purposes = issuer.extensions.get(EXTENSION.extendedKeyUsage);
  // By common practice an authority's purposes bind what it issues.
  return purposes === undefined || purposesOf(purposes).some((oid) => oid === TIME_STAMPING || oid === ANY_PURPOSE);
}

function purposesOf(extension: Extension): string[] {
  const elements = inside(readOnly(extension.value, Tag.sequence)).takeAll(MAX_EXTENSIONS);
  return elements.map((element) => oidOf(new Elements(element.whole).take(Tag.oid)));
}

/** The first eight bits of the key usage; undefined when the certificate does not limit it. */
function usageOf(certificate: Certificate): number | undefined {
  const extension = certificate.extensions.get(EXTENSION.keyUsage);
  // Content of a BIT STRING: how many bits of the last octet are unused, then the bits.
  return extension && (readOnly(extension.value, Tag.bitString).content[1] ?? 0);
}
