import { type CallId, HoopishError, type PayloadField } from "@hoopish/protocol";
import type { KeptPayload, RecordBytes, WantedFields } from "../../evidence/port.ts";
import { type PackedPayload, type PackedPayloads, type PackedRecords, unpackedRecords } from "./bundle-queries.ts";

type Ask = <T>(method: string, ...args: readonly unknown[]) => Promise<T>;
type Pieces = (call: CallId, field: PayloadField) => AsyncIterable<{ readonly bytes: Uint8Array }>;

/** Calls in one question. */
const ASKED_CALLS = 256;

/** @throws HoopishError evidence_unavailable when the log has fewer records */
export async function* readRecords(ask: Ask, from: number, to: number): AsyncGenerator<readonly RecordBytes[]> {
  for (let next = from; next < to; ) {
    const packed: PackedRecords = await ask("packedRecords", next, to);
    if (packed.lengths.length === 0) throw new HoopishError("evidence_unavailable", `the log has no record ${next}`);
    yield [...unpackedRecords(packed, next)];
    next += packed.lengths.length;
  }
}

/** The answer to the next question is on its way while this one's is used. */
export async function* readKept(
  ask: Ask,
  pieces: Pieces,
  wanted: readonly WantedFields[],
): AsyncGenerator<readonly KeptPayload[]> {
  for (let next = 0; next < wanted.length; ) {
    const packed: PackedPayloads = await ask("packedPayloads", wanted.slice(next, next + ASKED_CALLS));
    for (const payloads of packed.calls) {
      const { call } = wanted[next++] as WantedFields;
      yield payloads.map((payload) => kept(payload, packed.bytes, () => pieces(call, payload.field)));
    }
  }
}

function kept(
  { field, length, salt, inline }: PackedPayload,
  bytes: Uint8Array,
  pieces: () => AsyncIterable<{ readonly bytes: Uint8Array }>,
): KeptPayload {
  return {
    field,
    length,
    salt: salt === undefined ? undefined : bytes.subarray(...salt),
    async *chunks() {
      if (inline !== undefined) yield bytes.subarray(...inline);
      else for await (const piece of pieces()) yield piece.bytes;
    },
  };
}
