import {
  ed25519Signer,
  formatCheckpoint,
  type NoteSigner,
  type NoteVerifier,
  openCheckpoint,
  parseLogKey,
  parseVkey,
  signNote,
  treeSizeOf,
  verifyConsistency,
} from "@hoopish/protocol/tlog";
import type { SignedCheckpoint } from "../../../evidence/port.ts";
import type { LogKeys } from "../database.ts";
import type { Query } from "../query.ts";
import type { Writer } from "../writer.ts";
import type { TreeReader } from "./tree-reader.ts";

/** While there is anything new, a checkpoint is signed this often. */
export const SIGN_EVERY_MS = 1_000;

export interface CheckpointRow {
  readonly size: number;
  readonly time: number;
  readonly root: Uint8Array;
  readonly note: string;
}

/** Signs the log's size and root. What was signed is durable before anybody sees it. Runs in the writer's thread. */
export class CheckpointWriter {
  readonly #writer: Writer;
  readonly #signer: NoteSigner;
  readonly #origin: string;
  readonly #clock: () => number;
  readonly #query: Query;
  readonly #tree: TreeReader;
  readonly #previous: readonly string[];
  #last: SignedCheckpoint;
  /** performance.now() of the last signature: somebody may set the clock back, and the log is signed all the same. */
  #signedAt = Number.NEGATIVE_INFINITY;

  /**
   * Signs the empty log, if nothing was signed yet.
   * @throws Error with code HOOPISH_LOG when the log does not fit what was signed of it, or the key is another
   */
  constructor(writer: Writer, query: Query, tree: TreeReader, keys: LogKeys, clock: () => number) {
    this.#writer = writer;
    this.#origin = keys.origin;
    this.#signer = ed25519Signer(keys.origin, parseLogKey(keys.privateKey));
    this.#previous = keys.previous ?? [];
    this.#clock = clock;
    this.#query = query;
    this.#tree = tree;
    const row = query.get<CheckpointRow>("SELECT size, time, root, note FROM checkpoints ORDER BY size DESC LIMIT 1");
    if (row === undefined) {
      this.#last = this.#signed(0, tree.root(0));
      return;
    }
    this.#last = fromRow(row);
    this.#check(tree);
    tree.checkKept(tree.size());
  }

  /** The key that signed last, where that was not this one. */
  get previousKey(): string | undefined {
    const { verified } = openCheckpoint(this.#last.note, this.#verifiers());
    return verified.some(({ vkey }) => vkey === this.#signer.vkey) ? undefined : verified[0]?.vkey;
  }

  get last(): SignedCheckpoint {
    return this.#last;
  }

  /** Milliseconds until there is something to sign; undefined: nothing is new. */
  dueInMs(): number | undefined {
    if (this.#writer.tree.size === this.#last.size) return undefined;
    return Math.max(0, this.#signedAt + SIGN_EVERY_MS - performance.now());
  }

  /** Signs all that is in the database; gives back what was signed last where nothing is new. */
  sign(): SignedCheckpoint {
    const { tree } = this.#writer;
    if (tree.size > this.#last.size) this.#last = this.#signed(tree.size, tree.root());
    return this.#last;
  }

  /** Exactly the first `size` records: what was signed of them, or a signature now. */
  signAt(size: number): SignedCheckpoint {
    if (size > this.#writer.tree.size) throw new Error(`the log has ${this.#writer.tree.size} records, not ${size}`);
    const row = this.#query.get<CheckpointRow>("SELECT size, time, root, note FROM checkpoints WHERE size = ?", size);
    if (row !== undefined) return fromRow(row);
    return size === this.#writer.tree.size ? this.sign() : this.#signed(size, this.#earlierRoot(size));
  }

  /** Made from records, which may have been changed since they came in. @throws Error with code HOOPISH_LOG then */
  #earlierRoot(size: number): Buffer {
    const { tree } = this.#writer;
    const root = this.#tree.root(size);
    if (size === 0) return root;
    if (verifyConsistency(size, tree.size, root, tree.root(), this.#tree.consistency(size, tree.size))) return root;
    throw refused(`its first ${size} records are not those that came in`);
  }

  #signed(size: number, root: Buffer): SignedCheckpoint {
    const text = formatCheckpoint({ origin: this.#origin, size: BigInt(size), root });
    const checkpoint = { size, root, note: signNote(text, [this.#signer]), timeMs: this.#clock() };
    this.#writer.change((db) =>
      db
        .prepare("INSERT INTO checkpoints (size, time, root, note) VALUES (?, ?, ?, ?)")
        .run(size, checkpoint.timeMs, root, checkpoint.note),
    );
    this.#signedAt = performance.now();
    return checkpoint;
  }

  #verifiers(): NoteVerifier[] {
    return [this.#signer.vkey, ...this.#previous].map(parseVkey);
  }

  /** What was signed last must be a beginning of what is here: otherwise somebody changed the file, and nothing is signed. */
  #check(tree: TreeReader): void {
    const { size, root, note } = this.#last;
    let opened: ReturnType<typeof openCheckpoint>;
    try {
      opened = openCheckpoint(note, this.#verifiers());
    } catch (cause) {
      const keys = `the log's key (${this.#signer.vkey}), and with none of evidence.previousKeys`;
      throw refused(`its newest checkpoint is not signed with ${keys}`, cause);
    }
    const { checkpoint } = opened;
    if (treeSizeOf(checkpoint) !== size || !checkpoint.root.equals(root) || checkpoint.origin !== this.#origin) {
      throw refused("its newest checkpoint is not what was signed");
    }
    if (tree.size() < size) throw refused(`it holds ${tree.size()} records, and ${size} were signed`);
    if (!tree.root(size).equals(root)) throw refused(`its first ${size} records are not those that were signed`);
  }
}

export const fromRow = ({ size, time, root, note }: CheckpointRow): SignedCheckpoint => ({
  size,
  timeMs: time,
  root: Buffer.from(root),
  note,
});

const refused = (what: string, cause?: unknown): Error =>
  Object.assign(new Error(`the log was changed, or restored from a backup: ${what}`, { cause }), {
    code: "HOOPISH_LOG",
  });
