import { cosignatureVerifier } from "./cosignature.ts";
import { NoteError } from "./note-error.ts";
import { COSIGNATURE_V1, ED25519, identify, type NoteVerifier, publicKeyOf, verifyEd25519 } from "./note-key.ts";
import { decodeBase64 } from "./note-text.ts";

/** Longer than any that is meant: names are not bounded by the specification. */
const MAX_VKEY_LENGTH = 4096;

/**
 * `<name>+<8 hex>+<base64(type ‖ public key)>` (C2SP signed-note), type 0x01 (notes) or 0x04 (cosignatures v1).
 * @throws NoteError bad_key
 */
export function parseVkey(vkey: string): NoteVerifier {
  try {
    return verifierOf(vkey);
  } catch (error) {
    if (error instanceof NoteError && error.reason === "bad_key") throw error;
    throw new NoteError("bad_key", "not a verifier key", { cause: error });
  }
}

function verifierOf(vkey: string): NoteVerifier {
  // The last part may have plus signs of its own, the name has none.
  const [, name, keyId, base64] = (vkey.length <= MAX_VKEY_LENGTH && /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey)) || [];
  if (name === undefined || keyId === undefined || base64 === undefined) {
    throw new NoteError("bad_key", "a verifier key is written <name>+<8 hexadecimal digits>+<base64>");
  }
  const typed = decodeBase64(base64);
  const verifier = typedVerifier(name, typed[0], typed.subarray(1));
  if (verifier.keyId.toString("hex") !== keyId) throw new NoteError("bad_key", "the key's id is not that of the key");
  return verifier;
}

function typedVerifier(name: string, type: number | undefined, raw: Buffer): NoteVerifier {
  if (type === COSIGNATURE_V1) return cosignatureVerifier(name, raw);
  if (type !== ED25519) throw new NoteError("bad_key", "neither an Ed25519 nor a cosignature v1 key");
  const identity = identify(name, ED25519, raw);
  const publicKey = publicKeyOf(raw);
  return { ...identity, verify: (message, signature) => verifyEd25519(publicKey, message, signature) };
}
