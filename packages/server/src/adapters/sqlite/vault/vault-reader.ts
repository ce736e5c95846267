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

/** Pieces of one payload, and where it goes on. */
export interface PayloadPart {
  readonly pieces: readonly StoredPiece[];
  /** The next block with pieces of it; undefined: that was the end. */
  readonly nextBlock: number | undefined;
}

/** Blocks that stay open: whoever reads a log in its order needs the same ones again and again. */
const KEPT_BLOCKS = 8;

export class VaultReader {
  readonly keys: VaultKeys;
  readonly #query: Query;
  readonly #kept = new Map<number, ReadonlyMap<number, readonly StoredPiece[]>>();

  constructor(query: Query, vaultKey: Uint8Array) {
    this.#query = query;
    this.keys = new VaultKeys(query, vaultKey);
  }

  /** What the vault holds of one call. */
  payloadsOf(callKey: number): StoredPayload[] {
    const found = new Map<number, { field: PayloadField; length: number; salted: boolean }>();
    const rows = this.#query.iterate<{ sizes: Uint8Array }>("SELECT sizes FROM pieces WHERE call = ?", callKey);
    for (const { sizes } of rows) {
      for (const { field, bytes, salted } of decodeSizes(sizes)) {
        const before = found.get(field) ?? { field: fieldOf(field), length: 0, salted: false };
        found.set(field, { field: before.field, length: before.length + bytes, salted: before.salted || salted });
      }
    }
    return [...found.entries()].sort(([left], [right]) => left - right).map(([, payload]) => payload);
  }

  /**
   * The pieces of a payload in one block: the first that has some, from `fromBlock` on.
   * @throws Error with code HOOPISH_VAULT when the block is not what was written
   */
  part(callKey: number, field: PayloadField, fromBlock: number): PayloadPart {
    const number = fieldNumber(field);
    const rows = this.#query.iterate<{ block: number; sizes: Uint8Array }>(
      "SELECT block, sizes FROM pieces WHERE call = ? AND block >= ? ORDER BY block",
      callKey,
      fromBlock,
    );
    let pieces: readonly StoredPiece[] | undefined;
    for (const { block, sizes } of rows) {
      if (!decodeSizes(sizes).some((size) => size.field === number)) continue;
      if (pieces !== undefined) return { pieces, nextBlock: block };
      pieces = (this.#block(block).get(callKey) ?? []).filter((piece) => piece.field === number);
    }
    return { pieces: pieces ?? [], nextBlock: undefined };
  }

  /** The salt that opens a payload's commitment: with its last piece. */
  salt(callKey: number, field: PayloadField): Buffer | undefined {
    const number = fieldNumber(field);
    const rows = this.#query.all<{ block: number; sizes: Uint8Array }>(
      "SELECT block, sizes FROM pieces WHERE call = ? ORDER BY block DESC",
      callKey,
    );
    const last = rows.find(({ sizes }) => decodeSizes(sizes).some((size) => size.field === number && size.salted));
    if (last === undefined) return undefined;
    return this.#block(last.block)
      .get(callKey)
      ?.findLast((piece) => piece.field === number && piece.salt !== undefined)?.salt;
  }

  /** Payloads were destroyed: what was opened of them is let go. */
  forget(): void {
    this.#kept.clear();
    this.keys.forget();
  }

  /** A block's pieces by call. */
  #block(block: number): ReadonlyMap<number, readonly StoredPiece[]> {
    const kept = this.#kept.get(block);
    if (kept !== undefined) return kept;
    const opened = this.#open(block);
    if (this.#kept.size >= KEPT_BLOCKS) this.#kept.delete(this.#kept.keys().next().value as number);
    this.#kept.set(block, opened);
    return opened;
  }

  #open(block: number): Map<number, StoredPiece[]> {
    const calls = new Map<number, StoredPiece[]>();
    const row = this.#query.get<{ key: number; bytes: Uint8Array }>(
      "SELECT key, bytes FROM vault WHERE block = ?",
      block,
    );
    if (row === undefined) {
      throw Object.assign(new Error(`block ${block} of the vault is not there`), { code: "HOOPISH_VAULT" });
    }
    const key = this.keys.byNumber(row.key);
    if (key === undefined) return calls;
    for (const piece of decodePieces(openBlock(row.bytes, { block, key: row.key }, key.key))) {
      const pieces = calls.get(piece.callKey);
      if (pieces === undefined) calls.set(piece.callKey, [piece]);
      else pieces.push(piece);
    }
    return calls;
  }
}
