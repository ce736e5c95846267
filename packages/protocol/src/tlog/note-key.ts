import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { NoteError } from "./note-error.ts";
import { isCleanText } from "./note-text.ts";

/** Who signs notes (C2SP signed-note). */
export interface NoteSigner {
  readonly name: string;
  /** 4 bytes: with the name, what tells this key and its kind of signature from others. */
  readonly keyId: Buffer;
  /** Verifier key: what the world needs to check the signatures. */
  readonly vkey: string;
  /** @param message the note's text, UTF-8 @returns the signature, as it stands behind the key id */
  sign(message: Uint8Array): Buffer;
}

/** Who checks the signatures of one key. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: Buffer;
  readonly vkey: string;
  /** @param signature as it stands behind the key id; from a stranger. Never throws */
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

export const KEY_ID_BYTES = 4;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Signature types of C2SP signed-note that hoopish reads. */
export const ED25519 = 0x01;
export const COSIGNATURE_V1 = 0x04;
export type SignatureType = typeof ED25519 | typeof COSIGNATURE_V1;

/** A note's key name: no white space, no plus, no control character. */
export function isKeyName(name: string): boolean {
  return name !== "" && isCleanText(name) && !/[+\p{White_Space}]/u.test(name);
}

/** Name, key id and vkey of an Ed25519 key for one type of signature. */
export interface KeyIdentity {
  readonly name: string;
  readonly keyId: Buffer;
  readonly vkey: string;
}

/**
 * keyID = SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4];  vkey = name+hex(keyID)+base64(type ‖ public key).
 * @param publicKey 32 bytes (RFC 8032)
 * @throws NoteError bad_key
 */
export function identify(name: string, type: SignatureType, publicKey: Uint8Array): KeyIdentity {
  if (!isKeyName(name)) throw new NoteError("bad_key", "a key's name is not empty and has no space, plus or control");
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) throw new NoteError("bad_key", "an Ed25519 public key is 32 bytes");
  const typed = Buffer.concat([Buffer.of(type), publicKey]);
  const keyId = hash("sha256", Buffer.concat([Buffer.from(`${name}\n`), typed]), "buffer").subarray(0, KEY_ID_BYTES);
  return { name, keyId, vkey: `${name}+${keyId.toString("hex")}+${typed.toString("base64")}` };
}

/** The 32 bytes of RFC 8032 of an Ed25519 key, private or public. @throws NoteError bad_key */
export function rawPublicKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== "ed25519") throw new NoteError("bad_key", "not an Ed25519 key");
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
}

/** @throws NoteError bad_key */
export function requirePrivateKey(key: KeyObject): void {
  if (key.type !== "private" || key.asymmetricKeyType !== "ed25519") {
    throw new NoteError("bad_key", "not an Ed25519 private key");
  }
}

/** @param raw 32 bytes, RFC 8032 */
export function publicKeyOf(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

export function verifyEd25519(publicKey: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return signature.byteLength === SIGNATURE_BYTES && verify(null, message, publicKey, signature);
}

/**
 * Signs note texts with Ed25519, type 0x01: what a log signs its checkpoints with.
 * @param name by the specification's advice a URL without its scheme, for a log its origin
 * @throws NoteError bad_key
 */
export function ed25519Signer(name: string, key: KeyObject): NoteSigner {
  requirePrivateKey(key);
  return { ...identify(name, ED25519, rawPublicKey(key)), sign: (message) => sign(null, message, key) };
}

/** A new Ed25519 private key. */
export function newLogKey(): KeyObject {
  return generateKeyPairSync("ed25519").privateKey;
}

/** PKCS#8 in PEM: what a key file holds, and `openssl pkey` reads. @throws NoteError bad_key */
export function formatLogKey(key: KeyObject): string {
  requirePrivateKey(key);
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** @param pem PKCS#8 in PEM, unencrypted, as `openssl genpkey -algorithm ed25519` writes it @throws NoteError bad_key */
export function parseLogKey(pem: string | Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // What OpenSSL says of it may quote it.
    throw new NoteError("bad_key", "not a private key in PEM");
  }
  requirePrivateKey(key);
  return key;
}
