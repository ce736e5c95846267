import {
  type Checkpoint,
  EMPTY_ROOT,
  HoopishError,
  NoteError,
  type NoteVerifier,
  openCheckpoint,
  treeSizeOf,
  verifyConsistency,
} from "@hoopish/protocol";
import type { Anchor } from "./anchor.ts";

/** The log as the store has it at the start. */
export interface LocalLog {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** The log's own keys, those of earlier times included. */
  readonly verifiers: readonly NoteVerifier[];
  /** RFC 6962 §2.1.2. Called with 0 < from < to ≤ size. */
  consistency(from: number, to: number): Promise<readonly Uint8Array[]>;
}

export interface StartCheckPorts {
  /** An anchor that is not required could not be asked. */
  readonly warn: (anchor: string, error: unknown) => void;
  /** For each anchor. Default 10 000. */
  readonly timeoutMs?: number;
}

/**
 * Before the log signs anything after a start: what can be seen outside must be the beginning of what is here. A database
 * that was restored from an old backup would otherwise sign a second history, and both would look genuine.
 *
 * What an anchor holds that this log's keys have not signed, or that is of another log, counts as a disagreement: the key
 * may have been replaced together with the database.
 * @throws HoopishError configuration, with what is wrong and what can be done
 */
export async function refuseIfBehind(
  anchors: readonly Anchor[],
  local: LocalLog,
  { warn, timeoutMs = 10_000 }: StartCheckPorts,
): Promise<void> {
  const ask = async (anchor: Anchor): Promise<void> => {
    const note = await read(anchor, timeoutMs, warn);
    if (note !== undefined) await compare(anchor.name, openOwn(anchor.name, note, local), local);
  };
  // All are asked, and the first in the configuration's order speaks, whichever was faster.
  const results = await Promise.allSettled(anchors.map(ask));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function read(anchor: Anchor, timeoutMs: number, warn: StartCheckPorts["warn"]): Promise<string | undefined> {
  try {
    return await withDeadline(anchor.newest(AbortSignal.timeout(timeoutMs)), timeoutMs);
  } catch (cause) {
    if (!anchor.required) {
      warn(anchor.name, cause);
      return undefined;
    }
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    throw new HoopishError("configuration", `the ${anchor.name} cannot be read, and it is required${why}`, {
      hint: "make it readable, or take `required` from it to start without its check",
      cause,
    });
  }
}

/** A file system that hangs obeys no signal. */
async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1_000} s`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function openOwn(name: string, note: string, local: LocalLog): Checkpoint {
  try {
    const { checkpoint } = openCheckpoint(note, local.verifiers);
    if (checkpoint.origin === local.origin) return checkpoint;
  } catch (cause) {
    if (!(cause instanceof NoteError)) throw cause;
    throw refusal(`the ${name} holds what this log's key has not signed`, NOT_OURS, cause);
  }
  throw refusal(`the ${name} holds checkpoints of another log than ${local.origin}`, NOT_OURS);
}

async function compare(name: string, outside: Checkpoint, local: LocalLog): Promise<void> {
  const size = treeSizeOf(outside);
  if (size > local.size) {
    const what = `the ${name} has seen ${size} records of this log, the store holds ${local.size}`;
    throw refusal(`${what}: records are missing here`, RESTORED);
  }
  if (!(await agrees(outside.root, size, local))) {
    throw refusal(`the ${name} has seen other records among the first ${size} than the store holds`, RESTORED);
  }
}

async function agrees(root: Buffer, size: number, local: LocalLog): Promise<boolean> {
  if (size === 0) return root.equals(EMPTY_ROOT);
  const proof = size === local.size ? [] : await local.consistency(size, local.size);
  return verifyConsistency(size, local.size, root, local.root, proof);
}

const RESTORED =
  "if the database was restored from a backup, put the newest one back; if that is lost, begin a new log (another origin, " +
  "an empty store) and keep the old store and its anchors as evidence";
const NOT_OURS =
  "give each log its own anchor; after a change of key, let the server know the earlier key; if neither was changed here, " +
  "somebody else did";

function refusal(message: string, hint: string, cause?: unknown): HoopishError {
  const error = `the log will not be signed: ${message}`;
  return new HoopishError("configuration", error, cause === undefined ? { hint } : { hint, cause });
}
