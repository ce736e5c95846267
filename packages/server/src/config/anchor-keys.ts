import { parseVkey, readAuthorities } from "@hoopish/protocol";

export const WITNESS_KEY_ERROR =
  "write the verifier key that `hoopish witness init` printed: name+id+key, of type 0x04";

/** A verifier key of C2SP signed-note for cosignatures v1. A log's own key (type 0x01) is a likely mistake. */
export function isWitnessKey(text: string): boolean {
  try {
    const [, , ...key] = parseVkey(text).vkey.split("+");
    return Buffer.from(key.join("+"), "base64")[0] === 0x04;
  } catch {
    return false;
  }
}

/** Whether the server will be able to trust anybody by this file. */
export function holdsAuthorities(bytes: Uint8Array): boolean {
  try {
    return readAuthorities(Buffer.from(bytes).toString("latin1")).length > 0;
  } catch {
    return false;
  }
}
