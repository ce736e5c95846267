import type { ExportItem } from "../../evidence/port.ts";
import { type ExportedRecord, FIRST_PAYLOAD, type PayloadsPosition, payloadItems } from "./export-payloads.ts";
import type { Query } from "./query.ts";
import { keySpan } from "./search/time-blocks.ts";
import type { VaultReader } from "./vault/vault-reader.ts";

export interface ExportRange {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly payloads: boolean;
}

/** Where an export goes on. Whoever pulls keeps it, so that nothing stays open here when nobody pulls any more. */
export interface ExportPosition {
  /** The record that comes next, or whose payloads do. */
  readonly index: number;
  readonly payload: PayloadsPosition | undefined;
  /** The log's size when the export began: it ends there. */
  readonly size: number;
}

export interface ExportBatch {
  readonly items: readonly ExportItem[];
  /** Undefined: that was all. */
  readonly position: ExportPosition | undefined;
}

const BATCH_BYTES = 256 * 1024;
/** What is said of a payload that is not there. */
const GONE_BYTES = 256;

/** Items of about 256 KiB. */
export function exportBatch(
  query: Query,
  vault: VaultReader,
  range: ExportRange,
  from: ExportPosition | undefined,
): ExportBatch {
  const items: ExportItem[] = [];
  let bytes = 0;
  for (const { item, after } of exportItems(query, vault, range, from ?? beginning(query))) {
    items.push(item);
    bytes += item.kind === "record" ? item.leaf.length : item.kind === "payload" ? item.bytes.byteLength : GONE_BYTES;
    if (bytes >= BATCH_BYTES) return { items, position: after };
  }
  return { items, position: undefined };
}

interface Step {
  readonly item: ExportItem;
  readonly after: ExportPosition;
}

function* exportItems(query: Query, vault: VaultReader, range: ExportRange, from: ExportPosition): Generator<Step> {
  for (const { index, leaf } of recordsFrom(query, range, from)) {
    const record = JSON.parse(leaf) as ExportedRecord;
    const timeMs = Date.parse(record.time);
    if (timeMs < range.sinceMs || timeMs >= range.untilMs) continue;
    const resumed = index === from.index ? from.payload : undefined;
    const payload = resumed ?? FIRST_PAYLOAD;
    if (resumed === undefined)
      yield { item: { kind: "record", index, leaf }, after: { index, payload, size: from.size } };
    if (!range.payloads) continue;
    for (const { item, after } of payloadItems(query, vault, record, payload)) {
      yield { item, after: { index, payload: after, size: from.size } };
    }
  }
}

function* recordsFrom(
  query: Query,
  range: ExportRange,
  { index, size }: ExportPosition,
): Generator<{ readonly index: number; readonly leaf: string }> {
  const span = keySpan(query, range.sinceMs, range.untilMs);
  for (const [first, end] of [
    [span.from, span.before],
    [Math.max(span.tail, span.before), Number.MAX_SAFE_INTEGER],
  ] as const) {
    const rows = query.iterate<{ idx: number; leaf: Uint8Array }>(
      "SELECT idx, leaf FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
      Math.max(first, index),
      Math.min(end, size),
    );
    for (const { idx, leaf } of rows) yield { index: idx, leaf: Buffer.from(leaf).toString() };
  }
}

function beginning(query: Query): ExportPosition {
  const found = query.get<{ size: number }>("SELECT coalesce(max(idx) + 1, 0) AS size FROM records");
  return { index: 0, payload: undefined, size: found?.size ?? 0 };
}
