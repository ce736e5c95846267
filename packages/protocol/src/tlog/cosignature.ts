import { type KeyObject, sign } from "node:crypto";
import { parseCheckpoint } from "./checkpoint.ts";
import {
  COSIGNATURE_V1,
  identify,
  type NoteSigner,
  type NoteVerifier,
  publicKeyOf,
  rawPublicKey,
  requirePrivateKey,
  verifyEd25519,
} from "./note-key.ts";

/**
 * Cosignatures v1 (C2SP tlog-cosignature, type 0x04): a witness says that at a time the largest consistent tree of this
 * log that it had seen was this one. The signature is the time (uint64, big endian, seconds since 1970) and the Ed25519
 * signature over a header, the time and the checkpoint's text.
 */

const TIME_BYTES = 8;
const MAX_TIME = 2n ** 63n - 1n;

function cosignedMessage(time: bigint, text: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`cosignature/v1\ntime ${time}\n`), text]);
}

/**
 * A witness's signer; it signs checkpoints and nothing else (NoteError malformed). A key is for one witness only and never signs plain notes too: the message does not name the
 * cosigner.
 * @param nowSeconds seconds since 1970; a fraction is cut off
 * @throws NoteError bad_key
 */
export function cosigner(name: string, key: KeyObject, nowSeconds: () => number): NoteSigner {
  requirePrivateKey(key);
  return {
    ...identify(name, COSIGNATURE_V1, rawPublicKey(key)),
    sign: (message) => {
      parseCheckpoint(Buffer.from(message).toString());
      const time = BigInt(Math.floor(nowSeconds()));
      const head = Buffer.alloc(TIME_BYTES);
      head.writeBigUInt64BE(time);
      return Buffer.concat([head, sign(null, cosignedMessage(time, message), key)]);
    },
  };
}

/** @param raw the witness's public key, 32 bytes @throws NoteError bad_key */
export function cosignatureVerifier(name: string, raw: Uint8Array): NoteVerifier {
  const identity = identify(name, COSIGNATURE_V1, raw);
  const publicKey = publicKeyOf(raw);
  return {
    ...identity,
    verify: (message, signature) => {
      const time = cosignatureTime(signature);
      if (time === undefined) return false;
      return verifyEd25519(publicKey, cosignedMessage(time, message), signature.subarray(TIME_BYTES));
    },
  };
}

/**
 * Seconds since 1970 at which a verified cosignature was made, by the witness's own clock.
 * @param signature as it stands behind the key id @returns undefined when it is no cosignature v1
 */
export function cosignatureTime(signature: Uint8Array): bigint | undefined {
  if (signature.byteLength !== TIME_BYTES + 64) return undefined;
  const time = Buffer.from(signature.buffer, signature.byteOffset, TIME_BYTES).readBigUInt64BE();
  return time > MAX_TIME ? undefined : time;
}
