import { retentionClassOf } from "@hoopish/protocol";
import { CallIndex } from "../../evidence/call-index.ts";
import type { Batch, PayloadPart } from "../../evidence/store.ts";
import { fieldNumber, monthOf, retentionNumber } from "./keys.ts";
import type { VaultRow } from "./wire.ts";

/** A piece in the vault holds at most so much: what is read of a payload at one time. */
const MAX_PIECE_BYTES = 64 * 1024;

interface OpenCall {
  /** Index of the record that decided it. */
  readonly key: number;
  readonly retention: number;
  readonly month: number;
  readonly decidedMs: number;
}

/** To which call, and under which key, the next pieces of each open call's payloads go. */
export class OpenPayloads {
  readonly #calls = new CallIndex<OpenCall>();

  /** The rows of a batch whose first record has this index. */
  place(batch: Batch, firstIndex: number): VaultRow[] {
    batch.leaves.forEach(({ draft, timeMs }, position) => {
      if (draft.type !== "call.decided" || draft.call === undefined) return;
      this.#calls.set(draft.call, {
        key: firstIndex + position,
        retention: retentionNumber(retentionClassOf(draft.verdict)),
        month: monthOf(timeMs),
        decidedMs: timeMs,
      });
    });
    const rows: VaultRow[] = [];
    for (const part of batch.parts) this.#addRows(part, rows);
    return rows;
  }

  /** The batch is durable: calls that ended get no more payload. */
  written(batch: Batch): void {
    this.#forget(batch, "call.answered");
  }

  /** The batch was not written. */
  undo(batch: Batch): void {
    this.#forget(batch, "call.decided");
  }

  clear(): void {
    this.#calls.clear();
  }

  #addRows({ call, field, bytes, salt, timeMs }: PayloadPart, rows: VaultRow[]): void {
    const open = this.#calls.get(call);
    if (open === undefined) throw new Error(`no record decided ${call}`);
    const { key: callKey, retention, month, decidedMs } = open;
    const facts = { callKey, field: fieldNumber(field), retention, month, atMs: Math.max(0, timeMs - decidedMs) };
    const groups = inGroups(bytes, MAX_PIECE_BYTES);
    groups.forEach((group, position) => {
      rows.push({ ...facts, ...group, salt: position === groups.length - 1 ? salt : undefined });
    });
  }

  #forget(batch: Batch, type: "call.decided" | "call.answered"): void {
    for (const { draft } of batch.leaves) {
      if (draft.type === type && draft.call !== undefined) this.#calls.delete(draft.call);
    }
  }
}

interface Group {
  readonly bytes: Uint8Array[];
  readonly length: number;
}

/** The same bytes in groups of `max` at most; one group at least. */
function inGroups(pieces: readonly Uint8Array[], max: number): Group[] {
  const groups: Group[] = [];
  let bytes: Uint8Array[] = [];
  let length = 0;
  for (const piece of pieces) {
    for (let rest = piece; ; ) {
      const taken = rest.subarray(0, max - length);
      bytes.push(taken);
      length += taken.byteLength;
      if (taken.byteLength === rest.byteLength) break;
      groups.push({ bytes, length });
      bytes = [];
      length = 0;
      rest = rest.subarray(taken.byteLength);
    }
  }
  groups.push({ bytes, length });
  return groups;
}
