import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { PieceFacts } from "../wire.ts";

/**
 * A block of the vault: pieces of the payloads of many calls of one retention class and month, compressed together and
 * encrypted under that class's and month's key. One call's payload is a few hundred bytes, and a key operation, a
 * compression and a row for each would cost more than all else that the store does for the call.
 *
 *   block   u8 form (0 plain, 1 zstd) · u32 plain bytes · nonce 12 · AES-256-GCM ciphertext · tag 16
 *   plain   piece · piece …
 *   piece   f64 call key · u8 field · u8 salt bytes · u16 0 · u32 ms · u32 bytes · salt · bytes
 *
 * The block's number and its key's stand in the additional data: a block in another's place does not open.
 */
const HEAD_BYTES = 5;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const PIECE_HEAD_BYTES = 20;
const PLAIN = 0;
const ZSTD = 1;
/** Shorter ones gain nothing. */
const COMPRESS_FROM_BYTES = 512;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A piece of a payload as it goes into a block. */
export interface Piece extends PieceFacts {
  readonly bytes: Uint8Array;
  readonly salt: Uint8Array | undefined;
}

export function encodePieces(pieces: readonly Piece[]): Buffer {
  let length = 0;
  for (const { bytes, salt } of pieces) length += PIECE_HEAD_BYTES + (salt?.byteLength ?? 0) + bytes.byteLength;
  const plain = Buffer.allocUnsafe(length);
  let at = 0;
  for (const { callKey, field, atMs, bytes, salt } of pieces) {
    plain.writeDoubleLE(callKey, at);
    plain[at + 8] = field;
    plain[at + 9] = salt?.byteLength ?? 0;
    plain.writeUInt16LE(0, at + 10);
    plain.writeUInt32LE(atMs, at + 12);
    plain.writeUInt32LE(bytes.byteLength, at + 16);
    at += PIECE_HEAD_BYTES;
    if (salt !== undefined) plain.set(salt, at);
    at += salt?.byteLength ?? 0;
    plain.set(bytes, at);
    at += bytes.byteLength;
  }
  return plain;
}

export interface StoredPiece {
  readonly callKey: number;
  readonly field: number;
  /** Milliseconds since the call was decided. */
  readonly atMs: number;
  readonly salt: Buffer | undefined;
  readonly bytes: Buffer;
}

export function* decodePieces(plain: Buffer): Generator<StoredPiece> {
  for (let at = 0; at < plain.length; ) {
    const salt = at + PIECE_HEAD_BYTES;
    const data = salt + (plain[at + 9] as number);
    const end = data + plain.readUInt32LE(at + 16);
    yield {
      callKey: plain.readDoubleLE(at),
      field: plain[at + 8] as number,
      atMs: plain.readUInt32LE(at + 12),
      salt: data === salt ? undefined : plain.subarray(salt, data),
      bytes: plain.subarray(data, end),
    };
    at = end;
  }
}

/** Which block this is, and whose key. */
export interface BlockPlace {
  readonly block: number;
  readonly key: number;
}

export function sealBlock(plain: Buffer, place: BlockPlace, key: KeyObject): Buffer {
  const compressed = plain.length < COMPRESS_FROM_BYTES ? plain : zstdCompressSync(plain, LEVEL);
  const smaller = compressed.length < plain.length;
  const text = smaller ? compressed : plain;
  const block = Buffer.allocUnsafe(HEAD_BYTES + NONCE_BYTES + text.length + TAG_BYTES);
  block[0] = smaller ? ZSTD : PLAIN;
  block.writeUInt32LE(plain.length, 1);
  const nonce = block.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  randomFillSync(nonce);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(additional(place, block.subarray(0, HEAD_BYTES)));
  cipher.update(text).copy(block, HEAD_BYTES + NONCE_BYTES);
  cipher.final();
  cipher.getAuthTag().copy(block, block.length - TAG_BYTES);
  return block;
}

/** @throws Error when the block is not what was written, not in its place, or of another key */
export function openBlock(sealed: Uint8Array, place: BlockPlace, key: KeyObject): Buffer {
  const block = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (block.length < HEAD_BYTES + NONCE_BYTES + TAG_BYTES) throw damaged(place);
  const nonce = block.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(additional(place, block.subarray(0, HEAD_BYTES)));
  decipher.setAuthTag(block.subarray(block.length - TAG_BYTES));
  const text = decipher.update(block.subarray(HEAD_BYTES + NONCE_BYTES, block.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw damaged(place);
  }
  const length = block.readUInt32LE(1);
  const plain = block[0] === ZSTD ? zstdDecompressSync(text, { maxOutputLength: length }) : text;
  if (plain.length !== length) throw damaged(place);
  return plain;
}

const damaged = ({ block }: BlockPlace): Error =>
  Object.assign(new Error(`block ${block} of the vault is not what was written`), { code: "HOOPISH_VAULT" });

function additional({ block, key }: BlockPlace, head: Buffer): Buffer {
  const bytes = Buffer.alloc(16 + HEAD_BYTES);
  bytes.writeDoubleLE(block, 0);
  bytes.writeDoubleLE(key, 8);
  head.copy(bytes, 16);
  return bytes;
}
