import type { StoredRecord } from "@hoopish/protocol";
import type { Decided, Ended } from "./lists.ts";

/** A leaf of the log as a pass over it gives it. */
export interface LogLine {
  readonly index: number;
  /** The leaf's exact text. */
  readonly leaf: string;
  /** SHA-256(0x00 ‖ leaf), RFC 6962 §2.1. */
  readonly leafHash: Uint8Array;
}

/** A record as views read it. Each row that they make names it by its index and its leaf hash (hex). */
export interface Entry<R extends StoredRecord = StoredRecord> {
  readonly index: number;
  readonly leafHash: string;
  readonly record: R;
  /** The call that this record ended, when it ended one. */
  readonly call: EndedCall | undefined;
}

/** A call at the record that ended it. */
export interface EndedCall {
  readonly ended: Ended;
  /** Undefined: it was decided before the pass began. */
  readonly begun: BegunCall | undefined;
  /** Undefined: its session was opened before the pass began. */
  readonly session: SessionFacts | undefined;
}

/** A call that was decided and has not ended yet. */
export interface BegunCall {
  readonly index: number;
  readonly leafHash: string;
  readonly decided: Decided;
}

/** What only the record that opened a session says of it. */
export interface SessionFacts {
  readonly host: string;
  readonly client: string;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
}

export function entryOf({ index, leaf, leafHash }: LogLine): Entry {
  const hex = Buffer.from(leafHash.buffer, leafHash.byteOffset, leafHash.byteLength).toString("hex");
  return { index, leafHash: hex, record: JSON.parse(leaf) as StoredRecord, call: undefined };
}
