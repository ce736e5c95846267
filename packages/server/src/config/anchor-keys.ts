import { parseVkey, readAuthorities } from "@hoopish/protocol";

export const WITNESS_KEY_ERROR =
  "write the verifier key that `hoopish witness init` printed: name+id+key, of type 0x04";

export const LOG_VKEY_ERROR =
  "write the verifier key that `hoopish-server vkey` printed for the earlier key: name+id+key";

/** A verifier key of C2SP signed-note for cosignatures v1. A log's own key (type 0x01) is a likely mistake. */
export const isWitnessKey = (text: string): boolean => typeOf(text) === 0x04;

/** A log's verifier key. */
export const isLogVkey = (text: string): boolean => typeOf(text) === 0x01;

function typeOf(text: string): number | undefined {
  try {
    const [, , ...key] = parseVkey(text).vkey.split("+");
    return Buffer.from(key.join("+"), "base64")[0];
  } catch {
    return undefined;
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
