import type { DatabaseSync, StatementSync } from "node:sqlite";
import { Query } from "../query.ts";
import type { PieceFacts } from "../wire.ts";
import { encodePieces, PIECE_HEAD_BYTES, type Piece, sealBlock } from "./block.ts";
import { VaultKeys } from "./vault-keys.ts";

/** A block holds about so much before compression: what has to be opened to read a short payload. */
const BLOCK_BYTES = 256 * 1024;

interface OpenBlock {
  readonly retention: number;
  readonly month: number;
  readonly pieces: Piece[];
  bytes: number;
}

/** Puts the pieces of one transaction into blocks, and says for each call in which blocks its pieces are. */
export class VaultWriter {
  readonly keys: VaultKeys;
  readonly #insertBlock: StatementSync;
  readonly #insertPieces: StatementSync;
  readonly #nextBlock: StatementSync;
  readonly #open = new Map<number, OpenBlock>();

  /** `table`: where it is noted which blocks hold something of a call; `resealed` is seen by no reader. */
  constructor(db: DatabaseSync, vaultKey: Uint8Array, table: "pieces" | "resealed" = "pieces") {
    this.keys = new VaultKeys(new Query(db), vaultKey);
    this.#insertBlock = db.prepare("INSERT INTO vault (block, key, bytes) VALUES (?, ?, ?)");
    this.#insertPieces = db.prepare(`INSERT INTO ${table} (call, block, sizes) VALUES (?, ?, ?)`);
    // Not the highest that is there: a number is never used again, so that a reader knows what it has read already.
    this.#nextBlock = db.prepare(
      "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'vault'), 0) + 1 AS next",
    );
  }

  /** `bytes` and `salt` must stay as they are until `finish`. */
  add(facts: PieceFacts, bytes: Uint8Array, salt: Uint8Array | undefined): void {
    const label = facts.month * 8 + facts.retention;
    let open = this.#open.get(label);
    if (open === undefined) {
      open = { retention: facts.retention, month: facts.month, pieces: [], bytes: 0 };
      this.#open.set(label, open);
    }
    open.pieces.push({ ...facts, bytes, salt });
    open.bytes += PIECE_HEAD_BYTES + bytes.byteLength;
    if (open.bytes < BLOCK_BYTES) return;
    this.#write(open);
    this.#open.delete(label);
  }

  /** Before the transaction is committed. */
  finish(): void {
    for (const open of this.#open.values()) this.#write(open);
    this.#open.clear();
  }

  /** The transaction was rolled back. */
  undo(): void {
    this.#open.clear();
    this.keys.forget();
  }

  #write({ retention, month, pieces }: OpenBlock): void {
    const key = this.keys.current(retention, month);
    const { next: block } = this.#nextBlock.get() as { next: number };
    this.#insertBlock.run(block, key.number, sealBlock(encodePieces(pieces), { block, key: key.number }, key.key));
    for (const [call, sizes] of sizesByCall(pieces)) this.#insertPieces.run(call, block, encodeSizes(sizes));
  }
}

/** What a block holds of one payload. */
export interface FieldSize {
  readonly field: number;
  bytes: number;
  /** The payload's last piece is there, which carries its salt. */
  salted: boolean;
}

function sizesByCall(pieces: readonly Piece[]): Map<number, FieldSize[]> {
  const calls = new Map<number, FieldSize[]>();
  for (const { callKey, field, bytes, salt } of pieces) {
    let sizes = calls.get(callKey);
    if (sizes === undefined) {
      sizes = [];
      calls.set(callKey, sizes);
    }
    let size = sizes.find((one) => one.field === field);
    if (size === undefined) {
      size = { field, bytes: 0, salted: false };
      sizes.push(size);
    }
    size.bytes += bytes.byteLength;
    size.salted ||= salt !== undefined;
  }
  return calls;
}

/** u8 field · u8 salted · u32 bytes, for each payload: so that nobody has to open a block to know how much is in it. */
const SIZE_BYTES = 6;

function encodeSizes(sizes: readonly FieldSize[]): Buffer {
  const out = Buffer.alloc(sizes.length * SIZE_BYTES);
  sizes.forEach(({ field, bytes, salted }, position) => {
    out[position * SIZE_BYTES] = field;
    out[position * SIZE_BYTES + 1] = salted ? 1 : 0;
    out.writeUInt32LE(bytes, position * SIZE_BYTES + 2);
  });
  return out;
}

export function decodeSizes(stored: Uint8Array): FieldSize[] {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  return Array.from({ length: bytes.length / SIZE_BYTES }, (_, position) => ({
    field: bytes[position * SIZE_BYTES] as number,
    salted: bytes[position * SIZE_BYTES + 1] === 1,
    bytes: bytes.readUInt32LE(position * SIZE_BYTES + 2),
  }));
}
