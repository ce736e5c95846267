import type { CallId, NoteSigner, PayloadField } from "@hoopish/protocol";
import type { BundleScope } from "@hoopish/protocol/bundle";

/**
 * What a bundle is made of, as the log's keeper gives it. Everything is given in one order and the same each time, so
 * that an export that was cut off can be made again and go on where it ended; nothing is held beyond what is asked for.
 *
 * The range ends with this export's own audit.exported, which is durable and under the end checkpoint before any of this
 * is asked for.
 */
export interface BundleSource {
  /** What was asked for; DisclosureRule makes of it which payloads are asked for. */
  readonly scope: BundleScope;
  /** Signs the manifest: the log's own key. */
  readonly signer: NoteSigner;
  /** Signed checkpoint of the first `scope.start` records; not looked at when that is 0. */
  readonly startNote: string | undefined;
  /** Signed checkpoint of the first `scope.end` records. */
  readonly endNote: string;
  /** Roots of the perfect subtrees of [0, scope.start), largest first. */
  readonly leftEdge: readonly Uint8Array[];
  /** The checkpoints that the log signed, of sizes in [scope.start, scope.end], growing; the last is the end. */
  history(): AsyncIterable<SignedRoot>;
  /** Files for anchors/: `<name>.note`, and its `<name>.tsr` right behind it. Small. */
  anchors(): AsyncIterable<{ readonly name: string; readonly bytes: Uint8Array }>;
  /** Records [from, to) in batches of any size, in order and without a gap. */
  records(from: number, to: number): AsyncIterable<readonly StoredLeaf[]>;
  /**
   * For each call, in the order given, those of its payloads that the vault has, whole. Those it does not have (purged,
   * or lost) are left out: the records say which. What is given for a call is used before the next is asked for.
   */
  payloads(wanted: readonly WantedFields[]): AsyncIterable<readonly StoredPayload[]>;
  /** Files for views/, made from the records; each is read twice, and must be the same. */
  readonly views: readonly BundleView[];
}

export interface WantedFields {
  readonly call: CallId;
  readonly fields: readonly PayloadField[];
}

export interface SignedRoot {
  readonly size: number;
  readonly root: Uint8Array;
  /** RFC 3339, UTC, milliseconds: when it was signed. */
  readonly time: string;
}

export interface StoredLeaf {
  readonly index: number;
  /** The record's exact bytes. */
  readonly leaf: Uint8Array;
}

export interface StoredPayload {
  readonly field: PayloadField;
  /** Bytes that `chunks` will give. */
  readonly length: number;
  /** Undefined for what a crash cut: no record commits to it. */
  readonly salt: Uint8Array | undefined;
  /** @throws when the vault lost it in the meantime: the export breaks off then */
  chunks(): AsyncIterable<Uint8Array>;
}

export interface BundleView {
  /** `calls.csv`, `ocsf.ndjson`. */
  readonly name: string;
  content(): AsyncIterable<Uint8Array>;
}
