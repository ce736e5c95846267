import type { PayloadField } from "@hoopish/protocol";
import { fieldNumber, fieldOf } from "../keys.ts";
import type { Query } from "../query.ts";
import { decodePieces, openBlock, type StoredPiece } from "./block.ts";
import { VaultKeys } from "./vault-keys.ts";
import { decodeSizes } from "./vault-writer.ts";

export interface StoredPayload {
  readonly field: PayloadField;
  readonly length: number;
  /** Its last piece is there, with the salt. */
  readonly salted: boolean;
}

/** Where a payload goes on: in this block, after so many of its bytes. */
export interface PayloadPosition {
  readonly block: number;
  readonly offset: number;
}
export const PAYLOAD_START: PayloadPosition = { block: 0, offset: 0 };

/** Pieces of one payload, and where it goes on. */
export interface PayloadPart {
  readonly pieces: readonly StoredPiece[];
  /** Undefined: that was the end. */
  readonly next: PayloadPosition | undefined;
}

/** Code of the error for a payload that was destroyed. */
export const PURGED = "HOOPISH_PURGED";

/** Blocks that stay open: whoever reads a log in its order needs the same ones again and again. */
const KEPT_BLOCKS = 8;

interface OpenedBlock {
  readonly key: number;
  readonly calls: ReadonlyMap<number, readonly StoredPiece[]>;
}

interface PiecesRow {
  readonly block: number;
  readonly sizes: Uint8Array;
}

/**
 * What is asked within one transaction is of one state of the vault. Between two, a purge may have put a call's pieces into
 * other blocks, or destroyed them.
 */
export class VaultReader {
  readonly keys: VaultKeys;
  readonly #query: Query;
  readonly #kept = new Map<number, OpenedBlock>();

  constructor(query: Query, vaultKey: Uint8Array) {
    this.#query = query;
    this.keys = new VaultKeys(query, vaultKey);
  }

  /** What the vault holds of one call, and has the key to. */
  payloadsOf(callKey: number): StoredPayload[] {
    const found = new Map<number, { field: PayloadField; length: number; salted: boolean }>();
    const rows = this.#query.iterate<{ sizes: Uint8Array }>(
      `SELECT sizes FROM pieces JOIN vault USING (block)
       WHERE call = ? AND EXISTS (SELECT 1 FROM vault_keys WHERE vault_keys.key = vault.key)`,
      callKey,
    );
    for (const { sizes } of rows) {
      for (const { field, bytes, salted } of decodeSizes(sizes)) {
        const before = found.get(field) ?? { field: fieldOf(field), length: 0, salted: false };
        found.set(field, { field: before.field, length: before.length + bytes, salted: before.salted || salted });
      }
    }
    return [...found.entries()].sort(([left], [right]) => left - right).map(([, payload]) => payload);
  }

  /**
   * The pieces of a payload in one block, from a position on; none where there is no such payload.
   * @throws Error with code HOOPISH_PURGED when it is destroyed, or was since its beginning was read; with code
   * HOOPISH_VAULT when the block is not what was written
   */
  part(callKey: number, field: PayloadField, from: PayloadPosition = PAYLOAD_START): PayloadPart {
    const number = fieldNumber(field);
    const { rows, skip } = this.#rowsFrom(callKey, from);
    let left = skip;
    let pieces: readonly StoredPiece[] | undefined;
    let offset = from.offset;
    for (const { block, sizes } of rows) {
      const size = decodeSizes(sizes).find((one) => one.field === number);
      if (size === undefined) continue;
      if (pieces !== undefined) return { pieces, next: { block, offset } };
      if (left > 0 && left >= size.bytes) {
        left -= size.bytes;
        continue;
      }
      pieces = without(
        this.piecesIn(block, callKey).filter((piece) => piece.field === number),
        left,
      );
      offset += size.bytes - left;
    }
    // Where the end is an empty piece, all may have been read already.
    if (pieces === undefined && from.block > 0 && (left > 0 || skip === 0)) throw purgedError();
    return { pieces: pieces ?? [], next: undefined };
  }

  /** The salt that opens a payload's commitment: with its last piece. */
  salt(callKey: number, field: PayloadField): Buffer | undefined {
    const number = fieldNumber(field);
    const rows = this.#query.all<PiecesRow>(
      "SELECT block, sizes FROM pieces WHERE call = ? ORDER BY block DESC",
      callKey,
    );
    const last = rows.find(({ sizes }) => decodeSizes(sizes).some((size) => size.field === number && size.salted));
    if (last === undefined) return undefined;
    return this.piecesIn(last.block, callKey).findLast((piece) => piece.field === number && piece.salt !== undefined)
      ?.salt;
  }

  /** Pieces of a call in a block. @throws Error as `part` */
  piecesIn(block: number, callKey: number): readonly StoredPiece[] {
    const kept = this.#kept.get(block);
    if (kept !== undefined && this.keys.byNumber(kept.key) !== undefined) return kept.calls.get(callKey) ?? [];
    const opened = this.#open(block);
    if (this.#kept.size >= KEPT_BLOCKS) this.#kept.delete(this.#kept.keys().next().value as number);
    this.#kept.set(block, opened);
    return opened.calls.get(callKey) ?? [];
  }

  /** Payloads were destroyed: what was opened of them is let go. */
  forget(): void {
    this.#kept.clear();
    this.keys.forget();
  }

  /** Rows from a position on, and how much of the payload in them comes before it. */
  #rowsFrom(
    callKey: number,
    { block, offset }: PayloadPosition,
  ): { readonly rows: Iterable<PiecesRow>; readonly skip: number } {
    // A block's number is never used again: what is there under it is what was there when it was named.
    const known =
      block === 0 || this.#query.get("SELECT 1 FROM pieces WHERE call = ? AND block = ?", callKey, block) !== undefined;
    const rows = this.#query.iterate<PiecesRow>(
      "SELECT block, sizes FROM pieces WHERE call = ? AND block >= ? ORDER BY block",
      callKey,
      known ? block : 0,
    );
    return { rows, skip: known ? 0 : offset };
  }

  #open(block: number): OpenedBlock {
    const row = this.#query.get<{ key: number; bytes: Uint8Array }>(
      "SELECT key, bytes FROM vault WHERE block = ?",
      block,
    );
    if (row === undefined) throw Object.assign(new Error(`block ${block} of the vault is not there`), VAULT_CODE);
    const key = this.keys.byNumber(row.key);
    if (key === undefined) throw purgedError();
    const calls = new Map<number, StoredPiece[]>();
    for (const piece of decodePieces(openBlock(row.bytes, { block, key: row.key }, key.key))) {
      const pieces = calls.get(piece.callKey);
      if (pieces === undefined) calls.set(piece.callKey, [piece]);
      else pieces.push(piece);
    }
    return { key: row.key, calls };
  }
}

const VAULT_CODE = { code: "HOOPISH_VAULT" };

export const purgedError = (): Error =>
  Object.assign(new Error("the payload was destroyed when its time was over"), { code: PURGED });

/** Pieces without their first `bytes` bytes; one that ends there is left out. */
function without(pieces: readonly StoredPiece[], bytes: number): StoredPiece[] {
  let left = bytes;
  return pieces.flatMap((piece) => {
    if (left > 0 && piece.bytes.length <= left) {
      left -= piece.bytes.length;
      return [];
    }
    const rest = { ...piece, bytes: piece.bytes.subarray(left) };
    left = 0;
    return [rest];
  });
}
