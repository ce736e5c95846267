import { HASH_BYTES } from "./digest.ts";
import { malformed, NoteError } from "./note-error.ts";
import { MAX_PROOF_HASHES } from "./proofs.ts";

/** Bytes of the largest note, proof or request that is read. */
export const MAX_NOTE_BYTES = 1_000_000;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The text of what came from outside: bounded, valid UTF-8, and without a control character but the newline, so that no
 * two readers see two different texts (a carriage return, an escape sequence, a byte order mark taken away).
 * @throws NoteError too_large, malformed
 */
export function readText(input: string | Uint8Array): string {
  if (input.length > MAX_NOTE_BYTES) throw new NoteError("too_large", `more than ${MAX_NOTE_BYTES} bytes`);
  const text = typeof input === "string" ? input : decode(input);
  if (typeof input === "string" && Buffer.byteLength(text) > MAX_NOTE_BYTES) {
    throw new NoteError("too_large", `more than ${MAX_NOTE_BYTES} bytes`);
  }
  if (!isCleanText(text)) throw malformed("a control character or a lone surrogate");
  return text;
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed("not UTF-8");
  }
}

/** Well formed, and of the characters below U+0020 none but the newline. */
export function isCleanText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.isWellFormed() && !/[\0-\x09\x0b-\x1f]/.test(text);
}

/** Standard base64 (RFC 4648 §4), the one spelling that encoding gives: no other alphabet, no stray bits, no white space. */
export function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) throw malformed("not base64 as RFC 4648 §4 writes it");
  return bytes;
}

export function decodeHash(text: string): Buffer {
  // The length first: a long line is not worth decoding.
  if (text.length !== 44) throw malformed("a hash is 44 characters of base64");
  const bytes = decodeBase64(text);
  if (bytes.length !== HASH_BYTES) throw malformed(`a hash has ${HASH_BYTES} bytes`);
  return bytes;
}

export function encodeHash(hash: Uint8Array): string {
  if (hash.byteLength !== HASH_BYTES) throw malformed(`a hash has ${HASH_BYTES} bytes`);
  return Buffer.from(hash).toString("base64");
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** ASCII decimal without leading zeroes, at most 2^64−1. */
export function decodeDecimal(text: string): bigint {
  if (!/^(?:0|[1-9][0-9]{0,19})$/.test(text)) throw malformed("not a decimal number without leading zeroes");
  const value = BigInt(text);
  if (value > MAX_UINT64) throw malformed("a number beyond 2^64−1");
  return value;
}

export function encodeDecimal(value: bigint): string {
  if (value < 0n || value > MAX_UINT64) throw malformed("not a number from 0 to 2^64−1");
  return String(value);
}

/** What stands before a checkpoint in a proof or a request: lines up to the first blank one. @throws NoteError malformed */
export function splitHead(text: string): { readonly head: readonly string[]; readonly checkpoint: string } {
  const blank = text.indexOf("\n\n");
  if (blank === -1) throw malformed("a checkpoint follows after an empty line");
  return { head: text.slice(0, blank).split("\n"), checkpoint: text.slice(blank + 2) };
}

/** `<word> <decimal>` @throws NoteError malformed, too_large beyond 2^53−1 */
export function decodeCount(line: string | undefined, word: string): number {
  if (line === undefined || !line.startsWith(`${word} `)) throw malformed(`a line "${word} <number>" is missing`);
  return safeNumber(decodeDecimal(line.slice(word.length + 1)));
}

/** @throws NoteError too_large beyond 2^53−1, which no real log reaches */
export function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new NoteError("too_large", "a tree beyond 2^53−1 leaves");
  return Number(value);
}

/** @throws NoteError malformed unless an integer from 0 to 2^53−1 */
export function encodeCount(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw malformed("not an integer from 0 to 2^53−1");
  return String(value);
}

/** @throws NoteError malformed, too_large */
export function decodeProof(lines: readonly string[]): Buffer[] {
  requireProofLength(lines.length);
  return lines.map(decodeHash);
}

/** @throws NoteError malformed, too_large */
export function encodeProof(proof: readonly Uint8Array[]): string[] {
  requireProofLength(proof.length);
  return proof.map(encodeHash);
}

function requireProofLength(hashes: number): void {
  if (hashes > MAX_PROOF_HASHES) throw new NoteError("too_large", `a proof has at most ${MAX_PROOF_HASHES} hashes`);
}
