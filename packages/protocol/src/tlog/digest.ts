import { hash } from "node:crypto";

/**
 * SHA-256 digests on their way from one hash to the next. node:crypto gives a digest as a string of 32 Latin-1
 * characters three times as fast as it makes a Buffer for it (0.28 µs against 0.85 for a node of the tree), so such
 * strings are what the tree counts with inside.
 */
export type Digest = string;

export const HASH_BYTES = 32;
export const LEAF = 0x00;
export const NODE = 0x01;

/** 0x01 ‖ left ‖ right. Filled and hashed within one synchronous step. */
const node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE);
const LEFT = 1;
const RIGHT = 1 + HASH_BYTES;

export const sha256 = (bytes: Uint8Array): Digest => hash("sha256", bytes, "binary");

/** SHA-256(0x01 ‖ left ‖ right); both sides are digests: 32 characters each. */
export function parent(left: Digest, right: Digest): Digest {
  node.write(left, LEFT, HASH_BYTES, "latin1");
  node.write(right, RIGHT, HASH_BYTES, "latin1");
  return sha256(node);
}

export function toBuffer(digest: Digest): Buffer {
  const buffer = Buffer.allocUnsafe(HASH_BYTES);
  buffer.write(digest, 0, HASH_BYTES, "latin1");
  return buffer;
}

/** The bytes as Latin-1 characters, however many they are: only 32 make a digest. */
export function toDigest(bytes: Uint8Array): Digest {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function requireHash(bytes: Uint8Array): void {
  if (bytes.byteLength !== HASH_BYTES) throw new RangeError(`a hash has ${HASH_BYTES} bytes, not ${bytes.byteLength}`);
}

/** @throws RangeError unless `size` is an integer from 0 to 2^53−1 */
export function requireSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`${size} is no size of a tree`);
}

// Sizes go beyond 32 bits, which JavaScript's bit operators cut off.
export const half = (n: number): number => Math.floor(n / 2);
export const isOdd = (n: number): boolean => n % 2 === 1;
