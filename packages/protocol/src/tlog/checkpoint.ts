import { type OpenedNote, openNote } from "./note.ts";
import { malformed } from "./note-error.ts";
import type { NoteVerifier } from "./note-key.ts";
import {
  decodeDecimal,
  decodeHash,
  encodeDecimal,
  encodeHash,
  isCleanText,
  readText,
  safeNumber,
} from "./note-text.ts";

/** What a log says of itself in a signed note (C2SP tlog-checkpoint): so many leaves, and this root over them. */
export interface Checkpoint {
  /** Which log. */
  readonly origin: string;
  readonly size: bigint;
  /** 32 bytes (RFC 6962 §2.1). */
  readonly root: Buffer;
  /** Opaque lines after the three; hoopish writes none. */
  readonly extensions: readonly string[];
}

/** The note text, to be signed: `origin\nsize\nbase64(root)\n` and the extensions. @throws NoteError malformed */
export function formatCheckpoint(checkpoint: Omit<Checkpoint, "extensions"> & Partial<Checkpoint>): string {
  const { origin, size, root, extensions = [] } = checkpoint;
  for (const line of [origin, ...extensions]) {
    if (line === "" || line.includes("\n") || !isCleanText(line)) {
      throw malformed("a checkpoint's origin and extensions are lines of plain text that are not empty");
    }
  }
  return [origin, encodeDecimal(size), encodeHash(root), ...extensions].map((line) => `${line}\n`).join("");
}

/** @param text a note's text, without its signatures: from `openNote` @throws NoteError malformed, too_large */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = readText(text).split("\n");
  if (lines.pop() !== "") throw malformed("a checkpoint ends in a newline");
  const [origin, size, root, ...extensions] = lines;
  if (origin === undefined || size === undefined || root === undefined) throw malformed("a checkpoint has three lines");
  if (lines.includes("")) throw malformed("a checkpoint has no empty line");
  return { origin, size: decodeDecimal(size), root: decodeHash(root), extensions };
}

export interface OpenedCheckpoint extends OpenedNote {
  readonly checkpoint: Checkpoint;
}

/**
 * `openNote` and `parseCheckpoint` in one. Which of the keys must have signed, and whose origin this must be, is for
 * the caller to say.
 * @throws NoteError
 */
export function openCheckpoint(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedCheckpoint {
  const opened = openNote(note, verifiers);
  return { ...opened, checkpoint: parseCheckpoint(opened.text) };
}

/** The size as the tree's functions take it. @throws NoteError too_large beyond 2^53−1, which no real log reaches */
export function treeSizeOf(checkpoint: Pick<Checkpoint, "size">): number {
  return safeNumber(checkpoint.size);
}
