import { isUtf8 } from "node:buffer";
import type { PayloadField } from "@hoopish/protocol";
import { fieldNumber, fieldOf, MAX_SEQ, payloadKey } from "./keys.ts";
import type { Query } from "./query.ts";

export interface StoredPayload {
  readonly field: PayloadField;
  /** Bytes. */
  readonly length: number;
  readonly salt: Uint8Array | undefined;
}

/** What the vault holds of one call. */
export function payloadsOf(query: Query, callKey: number): StoredPayload[] {
  const found = new Map<PayloadField, { field: PayloadField; length: number; salt: Uint8Array | undefined }>();
  const rows = query.iterate<{ number: number; length: number; salt: Uint8Array | null }>(
    "SELECT (key >> 24) & 7 AS number, length(bytes) AS length, salt FROM payloads WHERE key BETWEEN ? AND ?",
    payloadKey(callKey, 0, 0),
    payloadKey(callKey + 1, 0, 0) - 1n,
  );
  for (const { number, length, salt } of rows) {
    const field = fieldOf(number);
    const payload = found.get(field) ?? { field, length: 0, salt: undefined };
    found.set(field, { field, length: payload.length + length, salt: salt ?? payload.salt });
  }
  return [...found.values()];
}

export interface PayloadBytes {
  readonly bytes: readonly Uint8Array[];
  /** Where the payload goes on; undefined: that was the end. */
  readonly nextSeq: number | undefined;
}

/** A part of one payload, about `maxBytes` long (one row at least), and the seq after which to go on. */
export function readPayload(
  query: Query,
  callKey: number,
  field: PayloadField,
  fromSeq: number,
  maxBytes: number,
): PayloadBytes {
  const bytes: Uint8Array[] = [];
  let size = 0;
  const rows = query.iterate<{ seq: number; bytes: Uint8Array }>(
    "SELECT key & 16777215 AS seq, bytes FROM payloads WHERE key BETWEEN ? AND ? ORDER BY key",
    payloadKey(callKey, fieldNumber(field), fromSeq),
    payloadKey(callKey, fieldNumber(field), MAX_SEQ),
  );
  for (const row of rows) {
    if (size >= maxBytes) return { bytes, nextSeq: row.seq };
    bytes.push(row.bytes);
    size += row.bytes.byteLength;
  }
  return { bytes, nextSeq: undefined };
}

/** Whether a whole payload is valid UTF-8, however large it is. */
export function payloadIsUtf8(query: Query, callKey: number, field: PayloadField): boolean {
  let carried: Buffer = Buffer.alloc(0);
  let seq: number | undefined = 0;
  while (seq !== undefined) {
    const part = readPayload(query, callKey, field, seq, 1024 * 1024);
    const bytes = Buffer.concat([carried, ...part.bytes]);
    const cut: number = part.nextSeq === undefined ? bytes.length : completeCharacters(bytes);
    if (!isUtf8(bytes.subarray(0, cut))) return false;
    carried = bytes.subarray(cut);
    seq = part.nextSeq;
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
