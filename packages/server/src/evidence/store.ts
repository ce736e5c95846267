import type { CallId, PayloadField } from "@hoopish/protocol";

/** Adjacent pieces of one (call, field), to be kept as one row. */
export interface VaultRow {
  readonly call: CallId;
  readonly field: PayloadField;
  /** `seq` of the first piece in it. Rows of one (call, field) come in this order. */
  readonly seq: number;
  readonly bytes: readonly Uint8Array[];
  readonly salt: Uint8Array | undefined;
}

/** What an adapter keeps beside the log and changes together with a record; the adapter that made it knows what it means. */
export type StoreChange = object;

/** One transaction of the log. */
export interface Batch {
  /** Exact text of each leaf, in the log's order. */
  readonly leaves: readonly string[];
  readonly rows: readonly VaultRow[];
  readonly changes: readonly StoreChange[];
}

/**
 * What the log needs of a database.
 *
 * `commit` resolves when the whole batch is on stable storage, at consecutive indexes after what the log holds already.
 * When it rejects, nothing of the batch is visible, now or later, unless the error is a StoreLost. The log calls it again
 * only after the promise before has settled: one writer, one order.
 */
export interface EvidenceStore {
  commit(batch: Batch): Promise<void>;
  /** Writes something that is no record, and makes it durable: whether the store can write again. */
  probe(): Promise<void>;
}

/** The store went away in the middle of a commit: whether the batch is durable cannot be known from here. */
export class StoreLost extends Error {
  override readonly name = "StoreLost";
}
