/** Why a note, a key, a checkpoint or a proof is not taken. The set is closed: verifiers decide by it. */
export type NoteReason =
  /** Larger, or with more signatures, than what is read at all. */
  | "too_large"
  /** Not written as the specification has it. */
  | "malformed"
  /** A key or verifier key that is none, or two that cannot be told apart. */
  | "bad_key"
  /** A known key's signature does not fit the text: the whole note is worthless. */
  | "bad_signature"
  /** No known key has signed. */
  | "unsigned"
  /** Signed well, and yet not what it was taken for: another log, or a leaf that the proof does not lead from. */
  | "unproven";

/** The one error of notes, checkpoints, cosignatures and proofs; `message` never repeats what a stranger wrote. */
export class NoteError extends Error {
  override readonly name = "NoteError";
  readonly reason: NoteReason;

  constructor(reason: NoteReason, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
  }
}

export const malformed = (message: string): NoteError => new NoteError("malformed", message);
