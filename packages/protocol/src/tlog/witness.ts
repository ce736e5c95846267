import { malformed } from "./note-error.ts";
import {
  decodeCount,
  decodeDecimal,
  decodeProof,
  encodeCount,
  encodeProof,
  readText,
  safeNumber,
  splitHead,
} from "./note-text.ts";

/**
 * What a log and its witness say to each other over `POST <prefix>/add-checkpoint` (C2SP tlog-witness). A witness's
 * answer is signature lines: `addSignatures` puts them under the checkpoint, `openNote` with the witness's key checks.
 */
export interface AddCheckpoint {
  /** Size of the newest checkpoint that the witness has cosigned; 0 when there is none. */
  readonly oldSize: number;
  /** Consistency proof from there; empty from 0. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, as it is. */
  readonly checkpoint: string;
}

/** Content type of the answer 409. */
export const TREE_SIZE_TYPE = "text/x.tlog.size";

/** @throws NoteError malformed, too_large */
export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  const body = `${[`old ${encodeCount(oldSize)}`, ...encodeProof(proof)].join("\n")}\n\n${checkpoint}`;
  parseAddCheckpoint(body);
  return body;
}

/** Reads a request from anybody; nothing is verified yet. @throws NoteError malformed, too_large */
export function parseAddCheckpoint(body: string | Uint8Array): AddCheckpoint {
  const { head, checkpoint } = splitHead(readText(body));
  const [old, ...hashes] = head;
  return { oldSize: decodeCount(old, "old"), proof: decodeProof(hashes), checkpoint };
}

/** The answer 409: the size of the newest checkpoint that the witness has cosigned. @throws NoteError malformed */
export function formatTreeSize(size: number): string {
  return `${encodeCount(size)}\n`;
}

/** @throws NoteError malformed, too_large */
export function parseTreeSize(body: string | Uint8Array): number {
  const text = readText(body);
  if (!text.endsWith("\n")) throw malformed("a tree size ends in a newline");
  return safeNumber(decodeDecimal(text.slice(0, -1)));
}
