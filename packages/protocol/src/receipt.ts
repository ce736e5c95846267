import { z } from "zod";
import { isCanonicalRecord } from "./canonical-bytes.ts";
import { NoteError } from "./tlog/note-error.ts";
import type { NoteVerifier } from "./tlog/note-key.ts";
import { type VerifiedTlogProof, verifyTlogProof } from "./tlog/tlog-proof.ts";

/**
 * What a third party needs to check one record of the log alone: the record itself and its C2SP tlog-proof. Kept as one
 * JSON file, so that the two are not parted.
 */
export interface Receipt {
  readonly v: 1;
  /** The record's exact text. */
  readonly leaf: string;
  /** C2SP tlog-proof. */
  readonly proof: string;
  /** The log's key as the server names it: to find the right one by, and never to verify with. */
  readonly vkey: string;
}
export const receiptSchema: z.ZodType<Receipt> = z.object({
  v: z.literal(1),
  leaf: z.string(),
  proof: z.string(),
  vkey: z.string(),
});

/** What the control API answers; `index` stands in the proof too. */
export interface ReceiptReply {
  readonly index: number;
  readonly leaf: string;
  readonly vkey: string;
  readonly proof: string;
}
export const receiptReplySchema: z.ZodType<ReceiptReply> = z.object({
  index: z.number().int().nonnegative(),
  leaf: z.string(),
  vkey: z.string(),
  proof: z.string(),
});

export interface VerifiedReceipt extends VerifiedTlogProof {
  /**
   * What the log says, as it stands there: who has its key can have put anything into it, and callers chose some of its
   * texts.
   */
  readonly record: Readonly<Record<string, unknown>>;
}

/**
 * Whether the log says that the receipt's record is in it. Nothing but `receipt` and `logKeys` is read.
 * @param logKeys keys of the log, from somewhere else than the receipt
 * @throws NoteError malformed, too_large, bad_key, bad_signature; unsigned by any key of the log; unproven when it is
 * another log's or the proof does not lead from this record
 */
export function verifyReceipt(
  receipt: Pick<Receipt, "leaf" | "proof">,
  logKeys: readonly NoteVerifier[],
): VerifiedReceipt {
  // A lone surrogate has no bytes of its own: two texts would have one hash.
  if (!receipt.leaf.isWellFormed()) throw new NoteError("malformed", "the record is not a text");
  const leaf = Buffer.from(receipt.leaf);
  const proven = verifyTlogProof(receipt.proof, leaf, logKeys);
  // Two readers of what is not canonical could read two records.
  if (!isCanonicalRecord(leaf)) throw new NoteError("malformed", "the record is not in its canonical form");
  return { ...proven, record: JSON.parse(receipt.leaf) as Readonly<Record<string, unknown>> };
}
