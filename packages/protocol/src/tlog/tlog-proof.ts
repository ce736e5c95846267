import { openCheckpoint, treeSizeOf } from "./checkpoint.ts";
import { leafHash } from "./merkle.ts";
import type { VerifiedSignature } from "./note.ts";
import { malformed, NoteError } from "./note-error.ts";
import type { NoteVerifier } from "./note-key.ts";
import { decodeBase64, decodeCount, decodeProof, encodeCount, encodeProof, readText, splitHead } from "./note-text.ts";
import { verifyInclusion } from "./proofs.ts";

/**
 * One leaf's proof in one file (C2SP tlog-proof): its index, the way from its hash to the root, and the log's checkpoint
 * with all signatures. It is checked offline, against keys that come from elsewhere.
 */
export interface TlogProof {
  /** Opaque, signed by nobody: never trusted for being here. */
  readonly extra?: Uint8Array;
  readonly index: number;
  /** Inclusion proof, the leaf's sibling first (RFC 6962 §2.1.1). */
  readonly proof: readonly Uint8Array[];
  /** The signed note, as it is. */
  readonly checkpoint: string;
}

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
const EXTRA = "extra ";

/** @throws NoteError malformed, too_large */
export function formatTlogProof({ extra, index, proof, checkpoint }: TlogProof): string {
  const lines = [FIRST_LINE];
  if (extra !== undefined && extra.byteLength > 0) lines.push(EXTRA + Buffer.from(extra).toString("base64"));
  lines.push(`index ${encodeCount(index)}`, ...encodeProof(proof));
  const text = `${lines.join("\n")}\n\n${checkpoint}`;
  parseTlogProof(text);
  return text;
}

/** Reads what anybody may have written; nothing is verified yet. @throws NoteError malformed, too_large */
export function parseTlogProof(input: string | Uint8Array): TlogProof {
  const { head, checkpoint } = splitHead(readText(input));
  const [first, ...rest] = head;
  if (first !== FIRST_LINE) throw malformed(`a proof begins with ${FIRST_LINE}`);
  const extraLine = rest[0]?.startsWith(EXTRA) ? rest.shift() : undefined;
  const [indexLine, ...hashes] = rest;
  const extra = extraLine === undefined ? undefined : decodeBase64(extraLine.slice(EXTRA.length));
  if (extra?.length === 0) throw malformed("an extra line without data is left out");
  const index = decodeCount(indexLine, "index");
  return { ...(extra !== undefined && { extra }), index, proof: decodeProof(hashes), checkpoint };
}

export interface ProofPolicy {
  /** The log that it must be. By default the name of the log's key that has signed. */
  readonly origin?: string;
  /** Cosigners that are known. How many must have signed is for the caller to say, by `cosigned`. */
  readonly witnesses?: readonly NoteVerifier[];
}

export interface VerifiedTlogProof {
  readonly origin: string;
  readonly index: number;
  readonly size: number;
  readonly root: Buffer;
  /** Signatures of the log's keys: at least one. */
  readonly signed: readonly VerifiedSignature[];
  /** Signatures of known witnesses. */
  readonly cosigned: readonly VerifiedSignature[];
}

/**
 * Whether the log says that `leaf` is its record at the proof's index.
 * @param leaf the record's exact bytes
 * @param logKeys keys of the log, from outside the proof
 * @throws NoteError malformed, too_large, bad_key, bad_signature; unsigned by any key of the log; unproven when it is
 * another log's or does not lead from this leaf
 */
export function verifyTlogProof(
  input: string | Uint8Array,
  leaf: Uint8Array,
  logKeys: readonly NoteVerifier[],
  { origin, witnesses = [] }: ProofPolicy = {},
): VerifiedTlogProof {
  const { index, proof, checkpoint: note } = parseTlogProof(input);
  const { checkpoint, verified } = openCheckpoint(note, [...logKeys, ...witnesses]);
  const by = (keys: readonly NoteVerifier[]): VerifiedSignature[] =>
    verified.filter(({ vkey }) => keys.some((key) => key.vkey === vkey));
  const signed = by(logKeys);
  if (signed.length === 0) throw new NoteError("unsigned", "no key of the log has signed");
  if (origin === undefined ? signed.every(({ name }) => name !== checkpoint.origin) : origin !== checkpoint.origin) {
    throw new NoteError("unproven", "the checkpoint is that of another log");
  }
  const size = treeSizeOf(checkpoint);
  if (!verifyInclusion(leafHash(leaf), index, size, proof, checkpoint.root)) {
    throw new NoteError("unproven", "the proof does not lead from this leaf to the checkpoint's root");
  }
  return { origin: checkpoint.origin, index, size, root: checkpoint.root, signed, cosigned: by(witnesses) };
}
