import { isUtf8 } from "node:buffer";
import type { CallId, PayloadField, Payloads, StoredRecord } from "@hoopish/protocol";
import type { ExportItem } from "../../evidence/port.ts";
import { idBytes } from "./keys.ts";
import { payloadIsUtf8, readPayload } from "./payload-queries.ts";
import type { Query } from "./query.ts";
import { keySpan } from "./search/time-blocks.ts";
import type { StoredPayload, VaultReader } from "./vault/vault-reader.ts";

export interface ExportRange {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly payloads: boolean;
}

/** Where an export goes on. Whoever pulls keeps it, so that nothing stays open here when nobody pulls any more. */
export interface ExportPosition {
  /** The record that comes next, or whose payloads do. */
  readonly index: number;
  readonly payload: PayloadPosition | undefined;
  /** The log's size when the export began: it ends there. */
  readonly size: number;
}

interface PayloadPosition {
  /** Which of the record's payloads. */
  readonly number: number;
  readonly block: number;
  readonly offset: number;
  readonly utf8: boolean | undefined;
}

export interface ExportBatch {
  readonly items: readonly ExportItem[];
  /** Undefined: that was all. */
  readonly position: ExportPosition | undefined;
}

const BATCH_BYTES = 256 * 1024;

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
    bytes += item.kind === "record" ? item.leaf.length : item.bytes.byteLength;
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
    const start = { index, payload: resumed ?? FIRST_PAYLOAD, size: from.size };
    if (resumed === undefined) yield { item: { kind: "record", index, leaf }, after: start };
    if (range.payloads) yield* payloadItems(query, vault, record, start);
  }
}

const FIRST_PAYLOAD: PayloadPosition = { number: 0, block: 0, offset: 0, utf8: undefined };

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

function* payloadItems(
  query: Query,
  vault: VaultReader,
  record: ExportedRecord,
  start: { readonly index: number; readonly payload: PayloadPosition; readonly size: number },
): Generator<Step> {
  const { callKey, stored } = payloadsAfter(query, vault, record);
  let { number, block, offset, utf8 } = start.payload;
  for (; number < stored.length; number++, block = 0, offset = 0, utf8 = undefined) {
    const { field, length } = stored[number] as StoredPayload;
    const salt = vault.salt(callKey, field);
    for (let more = true; more; ) {
      const part = readPayload(vault, callKey, field, block);
      const bytes =
        part.pieces.length === 1
          ? (part.pieces[0]?.bytes as Uint8Array)
          : new Uint8Array(Buffer.concat(part.pieces.map((piece) => piece.bytes)));
      more = offset + bytes.byteLength < length && part.nextBlock !== undefined;
      // A piece may be empty, and alone in its block: an item is empty only when the payload is.
      if (bytes.byteLength === 0 && more) {
        block = part.nextBlock ?? 0;
        continue;
      }
      utf8 ??= part.nextBlock === undefined ? isUtf8(bytes) : payloadIsUtf8(vault, callKey, field);
      const kept = salt === undefined ? undefined : new Uint8Array(salt);
      const item = {
        kind: "payload",
        call: record.call as CallId,
        field,
        salt: kept,
        length,
        utf8,
        offset,
        bytes,
      } as const;
      block = part.nextBlock ?? 0;
      offset += bytes.byteLength;
      const payload = more ? { number, block, offset, utf8 } : { ...FIRST_PAYLOAD, number: number + 1 };
      yield { item, after: { index: start.index, payload, size: start.size } };
    }
  }
}

function beginning(query: Query): ExportPosition {
  const found = query.get<{ size: number }>("SELECT coalesce(max(idx) + 1, 0) AS size FROM records");
  return { index: 0, payload: undefined, size: found?.size ?? 0 };
}

type ExportedRecord = StoredRecord & { readonly payloads?: Payloads };

/** The bodies that a record commits to; after call.interrupted, those that no record could commit to any more. */
function payloadsAfter(
  query: Query,
  vault: VaultReader,
  { call, type, payloads }: ExportedRecord,
): { readonly callKey: number; readonly stored: readonly StoredPayload[] } {
  const none = { callKey: -1, stored: [] };
  const fields = payloads === undefined ? [] : (Object.keys(payloads) as PayloadField[]);
  if (call === undefined || (fields.length === 0 && type !== "call.interrupted")) return none;
  const row = query.get<{ key: number }>("SELECT key FROM calls WHERE id = ?", idBytes(call));
  if (row === undefined) return none;
  const wanted = ({ field, salted }: StoredPayload): boolean =>
    type === "call.interrupted" ? !salted : fields.includes(field);
  return { callKey: row.key, stored: vault.payloadsOf(row.key).filter(wanted) };
}
