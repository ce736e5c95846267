import type { CallId, PayloadField, RecordDraft } from "@hoopish/protocol";

/** What a batch adds to one payload. What is added later comes after it. */
export interface PayloadPart {
  readonly call: CallId;
  readonly field: PayloadField;
  readonly bytes: readonly Uint8Array[];
  /** Given with the last part. */
  readonly salt: Uint8Array | undefined;
  /** Unix milliseconds: when its first byte was handed to the log. */
  readonly timeMs: number;
}

/** What an adapter keeps beside the log and changes together with a record; the adapter that made it knows what it means. */
export type StoreChange = object;

/** A record: its exact text, and what it was made of, so that nobody has to parse it again. */
export interface Leaf {
  readonly text: string;
  readonly draft: RecordDraft;
  /** Unix milliseconds: the record's `time`. */
  readonly timeMs: number;
}

/** One transaction of the log. */
export interface Batch {
  /** In the log's order. */
  readonly leaves: readonly Leaf[];
  readonly parts: readonly PayloadPart[];
  readonly changes: readonly StoreChange[];
  /**
   * Hardly anybody but those whom this batch is for is there: the store may let the whole process wait for the disk, which
   * saves the way to another thread and back.
   */
  readonly quiet: boolean;
}

/**
 * What the log needs of a database.
 *
 * `commit` resolves when the whole batch is on stable storage, at consecutive indexes after what the log holds already,
 * with the index of its first record.
 * When it rejects, nothing of the batch is visible, now or later, unless the error is a StoreLost. The log calls it again
 * only after the promise before has settled: one writer, one order.
 */
export interface EvidenceStore {
  commit(batch: Batch): Promise<number>;
  /** Writes something that is no record, and makes it durable: whether the store can write again. */
  probe(): Promise<void>;
}

/** The store went away in the middle of a commit: whether the batch is durable cannot be known from here. */
export class StoreLost extends Error {
  override readonly name = "StoreLost";
}
