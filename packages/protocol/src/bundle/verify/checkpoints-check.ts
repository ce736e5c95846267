import { EMPTY_ROOT } from "../../tlog/merkle.ts";
import { BundleError } from "../bundle-error.ts";
import { END_PATH, HISTORY_PATH, LEFT_EDGE_PATH } from "../layout.ts";
import { type BundleScope, decodeHistory, decodeLeftEdge, type LeftEdge } from "../manifest.ts";
import type { Findings } from "./findings.ts";
import { readJson } from "./json-file.ts";
import type { Keyring, TrustedCheckpoint } from "./keyring.ts";
import type { TreeCheck } from "./tree-check.ts";

/** What the log has signed of this range: where the tree must begin, where it must end, and what it must be between. */
export class CheckpointsCheck {
  readonly #scope: BundleScope;
  readonly #keys: Keyring;
  readonly #findings: Findings;
  readonly #tree: TreeCheck;
  #start: TrustedCheckpoint | undefined;
  #end: TrustedCheckpoint | undefined;
  #edge: LeftEdge | undefined;

  constructor(scope: BundleScope, keys: Keyring, findings: Findings, tree: TreeCheck) {
    this.#scope = scope;
    this.#keys = keys;
    this.#findings = findings;
    this.#tree = tree;
  }

  /** @throws BundleError */
  start(note: Buffer): void {
    this.#start = this.#signed(note, this.#scope.start);
  }

  /** @throws BundleError */
  end(note: Buffer): void {
    this.#end = this.#signed(note, this.#scope.end);
  }

  /** @throws BundleError file_malformed */
  leftEdge(bytes: Buffer): void {
    this.#edge = readJson(decodeLeftEdge, bytes);
  }

  /** @param mtime of the archive's files: the second in which the end was signed @throws BundleError */
  history(bytes: Buffer, mtime: number | undefined): void {
    const lines = readJson(decodeHistory, bytes);
    const { start, end } = this.#scope;
    for (const { size, root } of lines) {
      if (size < start || size > end) throw new BundleError("file_malformed", "a checkpoint outside of the range");
      const landmark = { size, root: Buffer.from(root, "base64"), by: "log", source: HISTORY_PATH } as const;
      this.#tree.expect({ ...landmark, code: "root_differs" });
    }
    const last = lines.at(-1);
    if (last?.size !== end) throw new BundleError("file_malformed", "it does not end with the range");
    if (mtime !== Math.floor(Date.parse(last.time) / 1000)) {
      throw new BundleError("archive_malformed", "the archive's time is not that of the last checkpoint");
    }
  }

  /** Before the first record: the left edge must fold to the root of the start; the records then lead to that of the end. */
  beginTree(): void {
    const { start, end } = this.#scope;
    if (this.#end !== undefined) {
      const { root } = this.#end;
      this.#tree.expect({ size: end, root, by: "log", code: "root_differs", source: END_PATH });
    }
    const root = start === 0 ? EMPTY_ROOT : this.#start?.root;
    const edge = this.#edge;
    if (root === undefined || edge === undefined) {
      // Something was found already, or will be when the bundle has ended without that file.
      this.#tree.lose();
    } else if (edge.size !== start || !this.#tree.begin(edge, root)) {
      const message = `it does not fold to the root of the ${start} records before the range`;
      this.#findings.add("left_edge_differs", message, { file: LEFT_EDGE_PATH });
      this.#tree.lose();
    }
  }

  /** Signed by the log, of this log, of the size that the scope says. */
  #signed(note: Buffer, size: number): TrustedCheckpoint {
    const checkpoint = this.#keys.checkpoint(note);
    if (checkpoint.origin !== this.#scope.origin) throw new BundleError("origin_differs", "of another log");
    if (checkpoint.size !== size) {
      throw new BundleError("checkpoint_differs", `of ${checkpoint.size} records; the scope says ${size}`);
    }
    return checkpoint;
  }
}
