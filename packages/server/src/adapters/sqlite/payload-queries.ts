import { isUtf8 } from "node:buffer";
import type { PayloadField } from "@hoopish/protocol";
import { PAYLOAD_START, type PayloadPosition, type VaultReader } from "./vault/vault-reader.ts";

/** A stretch of a payload that came at one time. */
export interface TimedBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Milliseconds since the call was decided. */
  readonly atMs: number;
}

export interface PayloadBytes {
  readonly pieces: readonly TimedBytes[];
  /** Where the payload goes on; undefined: that was the end. */
  readonly next: PayloadPosition | undefined;
}

/**
 * A part of one payload, some 256 KiB at most, and where to go on. The bytes have memory of their own.
 * @throws Error with code HOOPISH_PURGED when the payload was destroyed
 */
export function readPayload(
  vault: VaultReader,
  callKey: number,
  field: PayloadField,
  from: PayloadPosition,
): PayloadBytes {
  const { pieces, next } = vault.part(callKey, field, from);
  return { pieces: pieces.map(({ bytes, atMs }) => ({ bytes: new Uint8Array(bytes), atMs })), next };
}

/** Whether a whole payload is valid UTF-8, however large it is. */
export function payloadIsUtf8(vault: VaultReader, callKey: number, field: PayloadField): boolean {
  let carried: Buffer = Buffer.alloc(0);
  let from: PayloadPosition | undefined = PAYLOAD_START;
  while (from !== undefined) {
    const part: PayloadBytes = readPayload(vault, callKey, field, from);
    const bytes = Buffer.concat([carried, ...part.pieces.map((piece) => piece.bytes)]);
    const cut: number = part.next === undefined ? bytes.length : completeCharacters(bytes);
    if (!isUtf8(bytes.subarray(0, cut))) return false;
    carried = bytes.subarray(cut);
    from = part.next;
  }
  return true;
}

/** Where the last character that may go on in what follows begins; at most 3 bytes before the end. */
function completeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
