import type { Checkpoint } from "@hoopish/protocol";

/** A checkpoint with the log's signature. The log persists it before anybody else sees it. */
export interface SignedCheckpoint {
  /** The signed note (C2SP tlog-checkpoint). */
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

/** What an anchor gives back for a checkpoint, and examiners get. The anchor has checked it. */
export type AnchorReceipt =
  /** The note with the cosignatures of a witness beside the log's own signature. */
  | { readonly kind: "cosigned"; readonly note: string }
  /** TimeStampResp (RFC 3161) over the bytes of the note. */
  | { readonly kind: "timestamp"; readonly note: string; readonly response: Buffer; readonly genTimeMs: number };

/**
 * A place outside the store that keeps what the log has signed, so that a log that was cut back or written anew can be
 * told from the one that was seen before.
 *
 * One call of `publish` at a time. It may be given a checkpoint that it has already, after a failure or a restart, and
 * then succeeds. It resolves when the place has it durably, and rejects otherwise; nothing that it needs may be awaited for
 * longer than its own deadline.
 */
export interface Anchor {
  /** For people: which kind, and where. Unique among the anchors of a log. */
  readonly name: string;
  /** 0: every checkpoint goes there, in order. Otherwise one in so many milliseconds, the newest then. */
  readonly everyMs: number;
  /** Without it the server does not start. */
  readonly required: boolean;
  publish(signed: SignedCheckpoint, signal: AbortSignal): Promise<AnchorReceipt | undefined>;
  /**
   * The newest checkpoint that the place can show, for the check at the start. Whoever calls verifies it.
   * @returns undefined when it holds none, or is of a kind that keeps nothing
   */
  newest(signal: AbortSignal): Promise<string | undefined>;
}
