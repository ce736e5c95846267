import { algorithmOf, type Digest, digestOf } from "./algorithms.ts";
import { type Element, inside, integerOf, malformed, oidOf, readOnly, smallIntegerOf, Tag } from "./der.ts";
import { TimestampError } from "./timestamp-error.ts";

const OID = {
  signedData: "1.2.840.113549.1.7.2",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
} as const;

const MAX_CERTIFICATES = 16;
const MAX_ATTRIBUTES = 32;

/** A timestamp token's CMS SignedData (RFC 5652 §5) with its one signer. */
export interface SignedData {
  /** DER of the TSTInfo. */
  readonly content: Buffer;
  /** DER of the certificates that came with it: claims, until a chain is found. */
  readonly certificates: readonly Buffer[];
  readonly signer: Signer;
}

export interface Signer {
  readonly id: { readonly issuer: Buffer; readonly serial: Buffer } | { readonly keyIdentifier: Buffer };
  readonly digest: Digest;
  /** What the signature is over: the attributes as a SET OF (RFC 5652 §5.4). */
  readonly signed: Buffer;
  readonly messageDigest: Buffer;
  /** Hashes of the signer's certificate, by which the signature names it (RFC 5035, RFC 5816). */
  readonly certificateHashes: readonly { readonly digest: Digest | "sha1"; readonly hash: Buffer }[];
  readonly signatureAlgorithm: string;
  readonly signature: Buffer;
}

/** @throws TimestampError malformed, or signature for a hash that is not taken */
export function readSignedData(token: Buffer): SignedData {
  const info = inside(readOnly(token, Tag.sequence));
  if (oidOf(info.take(Tag.oid)) !== OID.signedData) throw malformed("it is not signed");
  const data = inside(readOnly(info.take(Tag.context(0)).content, Tag.sequence));
  info.end();
  smallIntegerOf(data.take(Tag.integer));
  data.take(Tag.set);
  const encapsulated = inside(data.take(Tag.sequence));
  if (oidOf(encapsulated.take(Tag.oid)) !== OID.tstInfo) throw malformed("what is signed is not a timestamp");
  const content = readOnly(encapsulated.take(Tag.context(0)).content, Tag.octetString).content;
  encapsulated.end();
  const certificates = data.takeIf(Tag.context(0));
  data.takeIf(Tag.context(1));
  // RFC 3161 §2.4.2: the authority's signature and no other.
  const signer = readOnly(data.take(Tag.set).content, Tag.sequence);
  data.end();
  return { content, certificates: certificatesOf(certificates), signer: readSigner(signer) };
}

function certificatesOf(set: Element | undefined): Buffer[] {
  const elements = set === undefined ? [] : inside(set).takeAll(MAX_CERTIFICATES);
  // Other kinds of certificates (attribute certificates and the like) are tagged, and say nothing here.
  return elements.filter(({ tag }) => tag === Tag.sequence).map(({ whole }) => whole);
}

function readSigner(element: Element): Signer {
  const parts = inside(element);
  smallIntegerOf(parts.take(Tag.integer));
  const id = readSignerId(parts.takeAny());
  const digest = digestOf(parts.take(Tag.sequence));
  const attributes = parts.take(Tag.context(0));
  const signatureAlgorithm = algorithmOf(parts.take(Tag.sequence));
  const signature = parts.take(Tag.octetString).content;
  // Unsigned attributes: anybody could have put them there.
  parts.takeIf(Tag.context(1));
  parts.end();
  const values = readAttributes(attributes);
  const contentType = oneOf(values, OID.contentType, Tag.oid);
  if (oidOf(contentType) !== OID.tstInfo) throw malformed("its signature is about another type of content");
  // In the token the attributes carry the tag [0]; they are signed with that of a SET.
  const signed = Buffer.from(attributes.whole);
  signed[0] = Tag.set;
  const messageDigest = oneOf(values, OID.messageDigest, Tag.octetString).content;
  const certificateHashes = readCertificateHashes(values);
  return { id, digest, signed, messageDigest, certificateHashes, signatureAlgorithm, signature };
}

function readSignerId(element: Element): Signer["id"] {
  if (element.tag === Tag.implicit(0)) return { keyIdentifier: element.content };
  if (element.tag !== Tag.sequence) throw malformed("its signer is not named");
  const parts = inside(element);
  const issuer = parts.take(Tag.sequence).whole;
  const serial = integerOf(parts.take(Tag.integer));
  parts.end();
  return { issuer, serial };
}

/** Object identifier → the attribute's values. Each may stand once (RFC 5652 §5.3). */
function readAttributes(set: Element): ReadonlyMap<string, readonly Element[]> {
  const attributes = new Map<string, readonly Element[]>();
  for (const element of inside(set).takeAll(MAX_ATTRIBUTES)) {
    const parts = inside(readOnly(element.whole, Tag.sequence));
    const oid = oidOf(parts.take(Tag.oid));
    const values = inside(parts.take(Tag.set)).takeAll(MAX_ATTRIBUTES);
    parts.end();
    if (attributes.has(oid)) throw malformed("it is signed about one thing twice");
    attributes.set(oid, values);
  }
  return attributes;
}

function oneOf(attributes: ReadonlyMap<string, readonly Element[]>, oid: string, tag: number): Element {
  const [value, ...others] = attributes.get(oid) ?? [];
  if (value === undefined || others.length > 0 || value.tag !== tag) throw malformed("a signed attribute is missing");
  return value;
}

/** SigningCertificate and SigningCertificateV2: the first certificate in each is the signer's. */
function readCertificateHashes(attributes: ReadonlyMap<string, readonly Element[]>): Signer["certificateHashes"] {
  const hashes: { digest: Digest | "sha1"; hash: Buffer }[] = [];
  for (const oid of [OID.signingCertificate, OID.signingCertificateV2]) {
    if (!attributes.has(oid)) continue;
    const list = inside(oneOf(attributes, oid, Tag.sequence)).take(Tag.sequence);
    const first = inside(inside(list).take(Tag.sequence));
    const algorithm = oid === OID.signingCertificateV2 ? first.takeIf(Tag.sequence) : undefined;
    const hash = first.take(Tag.octetString).content;
    // RFC 2634 has SHA-1. To pass another certificate off one would need a second pre-image, which nobody has.
    const digest = oid === OID.signingCertificate ? "sha1" : algorithm === undefined ? "sha256" : digestOf(algorithm);
    hashes.push({ digest, hash });
  }
  if (hashes.length === 0)
    throw new TimestampError("signature", "the timestamp does not say which certificate signed it");
  return hashes;
}
