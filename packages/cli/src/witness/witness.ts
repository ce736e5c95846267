import { hash } from "node:crypto";
import {
  type AddCheckpoint,
  addSignatures,
  type Checkpoint,
  EMPTY_ROOT,
  formatTreeSize,
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  openNote,
  parseAddCheckpoint,
  parseCheckpoint,
  signatureLine,
  TREE_SIZE_TYPE,
  treeSizeOf,
  verifyConsistency,
} from "@hoopish/protocol";

/** The newest checkpoint of a log that the witness has cosigned. */
export interface Cosigned {
  readonly size: number;
  readonly root: Buffer;
  /** The note with the log's signatures that were verified, and the witness's. */
  readonly note: string;
}

/** What the witness remembers. One process has it; nothing is awaited between `get` and `put`. */
export interface WitnessState {
  get(origin: string): Cosigned | undefined;
  /** Durable when it returns. @throws Error when it cannot be written, and then nothing has changed */
  put(origin: string, cosigned: Cosigned): void;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** What came of a request, for the operator. */
export type Verdict =
  | { readonly kind: "cosigned"; readonly origin: string; readonly size: number }
  | {
      readonly kind: "refused";
      readonly origin: string;
      readonly reason: string;
      /** The signed note, where it may show that the log was changed. */
      readonly finding: string | undefined;
    }
  /** No known log has signed it. */
  | { readonly kind: "ignored" };

export interface Judged {
  readonly answer: Answer;
  readonly verdict: Verdict;
}

/**
 * A witness (C2SP tlog-witness): for each log it cosigns the newest checkpoint that is consistent with the one before, and
 * so never two histories. Everything in a request is the sender's; only what a log's key has signed is believed of it.
 */
export class Witness {
  readonly #signer: NoteSigner;
  readonly #logs: ReadonlyMap<string, readonly NoteVerifier[]>;
  readonly #state: WitnessState;

  /** @param logs origin → the log's keys */
  constructor(signer: NoteSigner, logs: ReadonlyMap<string, readonly NoteVerifier[]>, state: WitnessState) {
    this.#signer = signer;
    this.#logs = logs;
    this.#state = state;
  }

  /**
   * `add-checkpoint`, top to bottom, in one synchronous step: no other request comes between the check and what is stored.
   * @throws Error when the state cannot be written: nothing was signed away
   */
  add(body: Uint8Array): Judged {
    // 1 It is a request.
    const request = read(() => parseAddCheckpoint(body));
    if (request === undefined) return ignored(400, "malformed");
    const origin = request.checkpoint.slice(0, request.checkpoint.indexOf("\n"));
    // 2 It is about a log that is watched, and 3 that log has signed it.
    const keys = this.#logs.get(origin);
    if (keys === undefined) return ignored(404, "unknown log");
    const signed = openSigned(request.checkpoint, keys);
    if (signed === undefined) return ignored(403, "not signed by the log");
    const checkpoint = read(() => parseCheckpoint(signed.text));
    const size = read(() => checkpoint && treeSizeOf(checkpoint));
    if (checkpoint === undefined || size === undefined) return ignored(400, "not a checkpoint");
    const refuse = (status: number, reason: string, finding = false): Judged =>
      refused(status, origin, reason, finding ? request.checkpoint : undefined);
    // 4 It goes on from what was cosigned last.
    if (request.oldSize > size) return refuse(400, `it is said to grow from ${request.oldSize} to ${size}`);
    const last = this.#state.get(origin) ?? { size: 0, root: EMPTY_ROOT, note: "" };
    if (request.oldSize !== last.size) return conflict(origin, request, last.size);
    const reason = inconsistency(last, request, checkpoint, size);
    if (reason !== undefined) return refuse(422, reason, true);
    // 5 Stored first, then answered: what was cosigned is never forgotten, wherever the process is killed.
    const own = signatureLine(this.#signer, signed.text);
    this.#state.put(origin, {
      size,
      root: checkpoint.root,
      note: addSignatures(`${signed.text}\n${signed.lines}`, own),
    });
    return { answer: text(200, own), verdict: { kind: "cosigned", origin, size } };
  }

  /** `<SHA-256 of the origin, in hex>/checkpoint`: what was cosigned last. */
  newest(originHash: string): Answer {
    const origin = [...this.#logs.keys()].find((one) => hash("sha256", one) === originHash);
    const last = origin === undefined ? undefined : this.#state.get(origin);
    return last === undefined ? text(404, "nothing was cosigned\n") : text(200, last.note);
  }
}

/** The text and the lines of the log's own signatures; others are left out of all that is kept. */
function openSigned(note: string, keys: readonly NoteVerifier[]): { text: string; lines: string } | undefined {
  const opened = read(() => openNote(note, keys));
  return opened && { text: opened.text, lines: opened.verified.map(({ line }) => line).join("") };
}

/** Why the checkpoint is not one that `last` can have grown into; undefined when it is. */
function inconsistency(
  last: Cosigned,
  request: AddCheckpoint,
  checkpoint: Checkpoint,
  size: number,
): string | undefined {
  if (last.size === 0 && size > 0) {
    return request.proof.length === 0 ? undefined : "a proof from nothing is empty";
  }
  if (verifyConsistency(last.size, size, last.root, checkpoint.root, request.proof)) return undefined;
  if (size === last.size && !last.root.equals(checkpoint.root)) return `another history of the same ${size} records`;
  return `nothing proves that it goes on from the ${last.size} records seen`;
}

function conflict(origin: string, request: AddCheckpoint, size: number): Judged {
  const reason = `it begins at ${request.oldSize}, and ${size} records were seen`;
  return {
    answer: { status: 409, type: TREE_SIZE_TYPE, body: formatTreeSize(size) },
    verdict: { kind: "refused", origin, reason, finding: undefined },
  };
}

function refused(status: number, origin: string, reason: string, finding: string | undefined): Judged {
  return { answer: text(status, `${reason}\n`), verdict: { kind: "refused", origin, reason, finding } };
}

function ignored(status: number, reason: string): Judged {
  return { answer: text(status, `${reason}\n`), verdict: { kind: "ignored" } };
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

/** @returns undefined for what the formats refuse */
function read<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof NoteError) return undefined;
    throw error;
  }
}
