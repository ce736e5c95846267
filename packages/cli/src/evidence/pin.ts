import {
  EMPTY_ROOT,
  HoopishError,
  NoteError,
  type NoteVerifier,
  openCheckpoint,
  parseVkey,
  treeSizeOf,
  verifyConsistency,
} from "@hoopish/protocol";

/**
 * A log that has shown a checkpoint can never take it back: every later one must be the same tree grown on. Who keeps
 * the newest that he has seen, and checks, finds a log that was restored from an old copy, rewritten and signed again,
 * or that shows different people different trees.
 */

/** A checkpoint whose signature was verified. */
export interface SeenCheckpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** The signed note, with the signature of the one key that was asked for. */
  readonly note: string;
}

/** The server's side: asked for the proof that the tree of `from` leaves is the beginning of that of `to`. */
export type ConsistencyFetcher = (from: number, to: number) => Promise<readonly Uint8Array[]>;

/** `backwards`: the pin may be the newer one, since another command has moved it after the checkpoint was asked for. */
export type Direction = "forwards" | "backwards";

/** @throws HoopishError log_inconsistent when this is no checkpoint that the key has signed */
export function openSeen(note: string, key: NoteVerifier): SeenCheckpoint {
  try {
    const { checkpoint, text, verified } = openCheckpoint(note, [key]);
    const { origin, root } = checkpoint;
    const own = `${text}\n${verified.map(({ line }) => line).join("")}`;
    return { origin, size: treeSizeOf(checkpoint), root, note: own };
  } catch (cause) {
    if (!(cause instanceof NoteError)) throw cause;
    const unsigned = cause.reason === "unsigned";
    throw contradiction(
      unsigned
        ? `the log's checkpoint is not signed with the key that this machine trusts (${key.vkey})`
        : `the log's checkpoint is not valid: ${cause.message}`,
      cause,
    );
  }
}

/** A key that the user gave. @throws HoopishError usage when it is none */
export function givenKey(vkey: string): NoteVerifier {
  try {
    return parseVkey(vkey);
  } catch (cause) {
    throw new HoopishError("usage", `"${vkey}" is not a log's key`, {
      hint: "it is written name+8 hexadecimal digits+base64, as the log's operators publish it",
      cause,
    });
  }
}

/** @throws HoopishError log_inconsistent */
export function openKey(vkey: string): NoteVerifier {
  try {
    return parseVkey(vkey);
  } catch (cause) {
    throw contradiction("the server names no valid key for its log", cause);
  }
}

/**
 * Checks a checkpoint that the server shows now against the pinned one.
 * @throws HoopishError log_inconsistent when both cannot be of one log that only grows; whatever the fetcher throws
 */
export async function checkPin(
  pinned: SeenCheckpoint,
  shown: SeenCheckpoint,
  consistency: ConsistencyFetcher,
  direction: Direction = "forwards",
): Promise<void> {
  if (shown.origin !== pinned.origin) {
    throw contradiction(`the log was "${pinned.origin}" and is now "${shown.origin}"`);
  }
  if (shown.size < pinned.size && direction === "forwards") {
    throw contradiction(`the log went back: it had ${pinned.size} records, and shows ${shown.size} now`);
  }
  const [older, newer] = shown.size < pinned.size ? [shown, pinned] : [pinned, shown];
  if (older.size === newer.size) {
    if (older.root.equals(newer.root)) return;
    throw contradiction(`the log shows two different histories of ${older.size} records`);
  }
  // The empty tree is the beginning of every tree: no proof can say more.
  if (older.size === 0 && older.root.equals(EMPTY_ROOT)) return;
  const proof = await consistency(older.size, newer.size);
  if (!verifyConsistency(older.size, newer.size, older.root, newer.root, proof)) {
    throw contradiction(`the log's ${newer.size} records do not begin with the ${older.size} that it had before`);
  }
}

export function contradiction(message: string, cause?: unknown): HoopishError {
  return new HoopishError("log_inconsistent", message, { cause });
}
