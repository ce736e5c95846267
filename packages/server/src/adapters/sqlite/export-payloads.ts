import { isUtf8 } from "node:buffer";
import type { CallId, PayloadField, Payloads, StoredRecord } from "@hoopish/protocol";
import { PAYLOAD_FIELDS } from "@hoopish/protocol/record";
import type { ExportItem } from "../../evidence/port.ts";
import { idBytes } from "./keys.ts";
import { type PayloadBytes, payloadIsUtf8, readPayload } from "./payload-queries.ts";
import { cutOff, decidedRecord, goneState } from "./payload-states.ts";
import type { Query } from "./query.ts";
import { PAYLOAD_START, type PayloadPosition, PURGED, type VaultReader } from "./vault/vault-reader.ts";

export type ExportedRecord = StoredRecord & { readonly payloads?: Payloads };

/** How far the payloads of one record are exported. */
export interface PayloadsPosition {
  /** Index in PAYLOAD_FIELDS. */
  readonly field: number;
  readonly from: PayloadPosition;
  readonly utf8: boolean | undefined;
}
export const FIRST_PAYLOAD: PayloadsPosition = { field: 0, from: PAYLOAD_START, utf8: undefined };

interface Step {
  readonly item: ExportItem;
  readonly after: PayloadsPosition;
}

/** The bodies that a record commits to; after call.interrupted, those that no record could commit to any more. */
export function* payloadItems(
  query: Query,
  vault: VaultReader,
  record: ExportedRecord,
  start: PayloadsPosition,
): Generator<Step> {
  const { call, type, payloads = {} } = record;
  if (call === undefined || (Object.keys(payloads).length === 0 && type !== "call.interrupted")) return;
  const row = query.get<{ key: number }>("SELECT key FROM calls WHERE id = ?", idBytes(call));
  if (row === undefined) return;
  const stored = new Map(vault.payloadsOf(row.key).map((payload) => [payload.field, payload]));
  for (let at = start.field; at < PAYLOAD_FIELDS.length; at++) {
    const field = PAYLOAD_FIELDS[at] as PayloadField;
    const kept = stored.get(field);
    const resumed = at === start.field ? start : { ...FIRST_PAYLOAD, field: at };
    const of = { call, callKey: row.key, field };
    const uncommitted = type === "call.interrupted";
    if (kept !== undefined && (uncommitted ? !kept.salted : payloads[field] !== undefined)) {
      yield* keptItems(query, vault, { ...of, length: kept.length }, resumed);
    } else if (kept === undefined) {
      const cut = uncommitted && field === "delivered" ? cutOff([record]) : undefined;
      const length = payloads[field]?.len ?? cut;
      if (length !== undefined) yield goneStep(query, { ...of, length }, resumed);
    }
  }
}

interface OnePayload {
  readonly call: CallId;
  readonly callKey: number;
  readonly field: PayloadField;
  readonly length: number;
}

function* keptItems(query: Query, vault: VaultReader, of: OnePayload, start: PayloadsPosition): Generator<Step> {
  const { call, callKey, field, length } = of;
  const found = vault.salt(callKey, field);
  const salt = found === undefined ? undefined : new Uint8Array(found);
  let { from, utf8 } = start;
  for (;;) {
    let part: PayloadBytes;
    try {
      part = readPayload(vault, callKey, field, from);
    } catch (error) {
      if ((error as { code?: string }).code !== PURGED) throw error;
      return yield goneStep(query, of, { ...start, from });
    }
    const bytes =
      part.pieces.length === 1
        ? (part.pieces[0]?.bytes as Uint8Array)
        : new Uint8Array(Buffer.concat(part.pieces.map((piece) => piece.bytes)));
    // Where all is told, what follows is an empty piece that came for its salt.
    const next = from.offset + bytes.byteLength < length ? part.next : undefined;
    // A piece may be empty, and alone in its block: an item is empty only when the payload is.
    if (bytes.byteLength > 0 || next === undefined) {
      utf8 ??= part.next === undefined ? isUtf8(bytes) : payloadIsUtf8(vault, callKey, field);
      const item = { kind: "payload", call, field, salt, length, utf8, offset: from.offset, bytes } as const;
      const after =
        next === undefined ? { ...FIRST_PAYLOAD, field: start.field + 1 } : { field: start.field, from: next, utf8 };
      yield { item, after };
    }
    if (next === undefined) return;
    from = next;
  }
}

function goneStep(query: Query, { call, callKey, field, length }: OnePayload, at: PayloadsPosition): Step {
  const why = goneState(query, callKey, decidedRecord(query, callKey));
  const item = { kind: "gone", call, field, length, offset: at.from.offset, ...why } as const;
  return { item, after: { ...FIRST_PAYLOAD, field: at.field + 1 } };
}
