import type { PayloadField } from "@hoopish/protocol";
import type { RecordBytes, WantedFields } from "../../evidence/port.ts";
import { idBytes } from "./keys.ts";
import type { Query } from "./query.ts";
import { PAYLOAD_START, type PayloadPart, type PayloadPosition, type VaultReader } from "./vault/vault-reader.ts";

/**
 * What an export of the whole log asks for, in answers of about a megabyte: one question for some hundred calls, and one
 * run of bytes in each answer, because what crosses between threads costs by the piece.
 */
const ANSWER_BYTES = 1024 * 1024;
/** A payload up to this size is given whole; a larger one is asked for by itself. */
const INLINE_BYTES = 64 * 1024;

/** Records that follow one another. */
export interface PackedRecords {
  /** Each record's exact bytes, one behind the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lengths: readonly number[];
}

/** At least one record of [from, to), while there are any. */
export function packedRecords(query: Query, from: number, to: number): PackedRecords {
  const leaves: Uint8Array[] = [];
  let size = 0;
  const rows = query.iterate<{ leaf: Uint8Array }>(
    "SELECT leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
    from,
    to,
  );
  for (const { leaf } of rows) {
    leaves.push(leaf);
    size += leaf.byteLength;
    if (size >= ANSWER_BYTES) break;
  }
  return { bytes: joined(leaves, size), lengths: leaves.map((leaf) => leaf.byteLength) };
}

export function* unpackedRecords({ bytes, lengths }: PackedRecords, from: number): Generator<RecordBytes> {
  let at = 0;
  let index = from;
  for (const length of lengths) {
    yield { index: index++, leaf: bytes.subarray(at, at + length) };
    at += length;
  }
}

export interface PackedPayload {
  readonly field: PayloadField;
  readonly length: number;
  /** Where the salt stands in the answer's bytes; undefined: there is none. */
  readonly salt: readonly [number, number] | undefined;
  /** Where all of it stands in the answer's bytes; undefined: it is too large, and asked for by itself. */
  readonly inline: readonly [number, number] | undefined;
}

export interface PackedPayloads {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For the first of the calls that were asked for; at least one. */
  readonly calls: readonly (readonly PackedPayload[])[];
}

export function packedPayloads(query: Query, vault: VaultReader, wanted: readonly WantedFields[]): PackedPayloads {
  const parts: Uint8Array[] = [];
  let size = 0;
  const place = (bytes: Uint8Array): readonly [number, number] => {
    parts.push(bytes);
    size += bytes.byteLength;
    return [size - bytes.byteLength, size];
  };
  const calls: (readonly PackedPayload[])[] = [];
  for (const { call, fields } of wanted) {
    const key = query.get<{ key: number }>("SELECT key FROM calls WHERE id = ?", idBytes(call))?.key;
    const stored = key === undefined ? [] : vault.payloadsOf(key).filter(({ field }) => fields.includes(field));
    calls.push(
      stored.map(({ field, length }) => {
        const salt = vault.salt(key as number, field);
        const inline = length > INLINE_BYTES ? undefined : inlinePlaces(vault, key as number, field, place);
        return { field, length, salt: salt === undefined ? undefined : place(salt), inline };
      }),
    );
    if (size >= ANSWER_BYTES) break;
  }
  return { bytes: joined(parts, size), calls };
}

function inlinePlaces(
  vault: VaultReader,
  callKey: number,
  field: PayloadField,
  place: (bytes: Uint8Array) => readonly [number, number],
): readonly [number, number] {
  let start: number | undefined;
  let end = 0;
  for (let from: PayloadPosition | undefined = PAYLOAD_START; from !== undefined; ) {
    const { pieces, next }: PayloadPart = vault.part(callKey, field, from);
    for (const { bytes } of pieces) {
      const placed = place(bytes);
      start ??= placed[0];
      end = placed[1];
    }
    from = next;
  }
  return start === undefined ? place(NOTHING) : [start, end];
}

const NOTHING = new Uint8Array(0);

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
