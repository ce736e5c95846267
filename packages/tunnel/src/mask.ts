import { Buffer } from "node:buffer";

/**
 * Masks or unmasks (RFC 6455 section 5.3) bytes `from` to `end`: bytes up to a word's edge, whole words, the remaining
 * bytes. `words` is the same memory as `bytes` and begins where it does.
 */
export function applyMask(bytes: Buffer, words: Int32Array, from: number, end: number, mask: number): void {
  const firstWord = Math.min((from + 3) & ~3, end);
  const lastWord = Math.max(end & ~3, firstWord);
  for (let at = from; at < firstWord; at++) bytes[at] = (bytes[at] as number) ^ maskByte(mask, at - from);
  const wordMask = wordOf(mask, firstWord - from);
  for (let word = firstWord >>> 2; word < lastWord >>> 2; word++) words[word] = (words[word] as number) ^ wordMask;
  for (let at = lastWord; at < end; at++) bytes[at] = (bytes[at] as number) ^ maskByte(mask, at - from);
}

/** The whole words of `bytes`, which must begin at a word's edge. */
export function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}

/** Whether `wordsOf` can be had. */
export const isAligned = (bytes: Buffer): boolean => (bytes.byteOffset & 3) === 0;

/** Byte `index` of the masking key, which repeats every four. */
function maskByte(mask: number, index: number): number {
  return (mask >>> (24 - 8 * (index & 3))) & 0xff;
}

const scratch = Buffer.alloc(4);
const scratchWord = new Int32Array(scratch.buffer, scratch.byteOffset, 1);

/** The key as it lies over a word that begins at byte `index` of the payload, in this machine's byte order. */
function wordOf(mask: number, index: number): number {
  for (let byte = 0; byte < 4; byte++) scratch[byte] = maskByte(mask, index + byte);
  return scratchWord[0] as number;
}
