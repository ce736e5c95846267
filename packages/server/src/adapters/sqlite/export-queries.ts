import { isUtf8 } from "node:buffer";
import type { CallId, PayloadField, Payloads, StoredRecord } from "@hoopish/protocol";
import type { ExportItem } from "../../evidence/port.ts";
import { idBytes } from "./keys.ts";
import { payloadIsUtf8, payloadsOf, readPayload, type StoredPayload } from "./payload-queries.ts";
import type { Query } from "./query.ts";
import { keysBetween } from "./time-blocks.ts";

export interface ExportRange {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly payloads: boolean;
}

/** Where an export goes on. Whoever pulls keeps it, so that nothing stays open here when nobody pulls any more. */
export interface ExportPosition {
  readonly index: number;
  /** The log's size when the export began: it ends there. */
  readonly size: number;
  /** In the middle of this record's payloads. */
  readonly payload:
    | { readonly number: number; readonly seq: number; readonly offset: number; readonly utf8: boolean }
    | undefined;
}

const BATCH_BYTES = 1024 * 1024;

/** Items of about 1 MiB, and the position after them; undefined at the end. */
export function exportBatch(
  query: Query,
  range: ExportRange,
  from: ExportPosition | undefined,
): { readonly items: ExportItem[]; readonly position: ExportPosition | undefined } {
  const start = from ?? beginning(query, range);
  const items: ExportItem[] = [];
  let size = 0;
  for (const row of query.iterate<{ idx: number; leaf: Uint8Array }>(
    "SELECT idx, leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
    start.index,
    start.size,
  )) {
    const leaf = Buffer.from(row.leaf.buffer, row.leaf.byteOffset, row.leaf.byteLength).toString();
    const record = JSON.parse(leaf) as StoredRecord & { readonly payloads?: Payloads };
    const timeMs = Date.parse(record.time);
    if (timeMs < range.sinceMs || timeMs >= range.untilMs) continue;
    let resume = row.idx === start.index ? start.payload : undefined;
    if (resume === undefined) {
      items.push({ kind: "record", index: row.idx, leaf });
      size += row.leaf.byteLength;
    }
    const payloads =
      range.payloads && record.call !== undefined ? payloadsAfter(query, record, record.call) : undefined;
    for (let number = resume?.number ?? 0; number < (payloads?.stored.length ?? 0); number++) {
      const { callKey, stored } = payloads as PayloadsOfRecord;
      const payload = stored[number] as StoredPayload;
      let seq: number | undefined = resume?.seq ?? 0;
      let offset: number = resume?.offset ?? 0;
      let utf8: boolean | undefined = resume?.utf8;
      resume = undefined;
      while (seq !== undefined) {
        if (size >= BATCH_BYTES) {
          utf8 ??= payloadIsUtf8(query, callKey, payload.field);
          return { items, position: { index: row.idx, size: start.size, payload: { number, seq, offset, utf8 } } };
        }
        const part = readPayload(query, callKey, payload.field, seq, BATCH_BYTES - size);
        const bytes = part.bytes.length === 1 ? (part.bytes[0] as Uint8Array) : Buffer.concat(part.bytes);
        utf8 ??= part.nextSeq === undefined ? isUtf8(bytes) : payloadIsUtf8(query, callKey, payload.field);
        items.push({
          kind: "payload",
          call: record.call as CallId,
          field: payload.field,
          salt: payload.salt,
          length: payload.length,
          utf8,
          offset,
          bytes,
        });
        offset += bytes.byteLength;
        size += bytes.byteLength;
        seq = part.nextSeq;
      }
    }
    if (size >= BATCH_BYTES) return { items, position: { index: row.idx + 1, size: start.size, payload: undefined } };
  }
  return { items, position: undefined };
}

function beginning(query: Query, range: ExportRange): ExportPosition {
  const { size } = query.get<{ size: number }>("SELECT coalesce(max(idx) + 1, 0) AS size FROM records") as {
    size: number;
  };
  const { from } = keysBetween(query, range.sinceMs, range.untilMs);
  return { index: from, size, payload: undefined };
}

interface PayloadsOfRecord {
  readonly callKey: number;
  readonly stored: readonly StoredPayload[];
}

/** The bodies that a record commits to; after call.interrupted, those that no record could commit to any more. */
function payloadsAfter(
  query: Query,
  record: StoredRecord & { readonly payloads?: Payloads },
  call: CallId,
): PayloadsOfRecord | undefined {
  const fields = record.payloads === undefined ? [] : (Object.keys(record.payloads) as PayloadField[]);
  if (fields.length === 0 && record.type !== "call.interrupted") return undefined;
  const row = query.get<{ key: number }>("SELECT key FROM calls WHERE id = ?", idBytes(call));
  if (row === undefined) return undefined;
  const stored = payloadsOf(query, row.key).filter(({ field, salt }) =>
    record.type === "call.interrupted" ? salt === undefined : fields.includes(field),
  );
  return { callKey: row.key, stored };
}
