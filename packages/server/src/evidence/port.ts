import type {
  CallId,
  CallStory,
  CallView,
  NoteSigner,
  PayloadField,
  RecordDraft,
  RecordType,
  SessionId,
  SessionView,
} from "@hoopish/protocol";

/** A piece of one payload as it flows. Pieces of one (call, field) carry seq 0, 1, 2 … and are joined by it. */
export interface PayloadPiece {
  readonly call: CallId;
  readonly field: PayloadField;
  readonly seq: number;
  /** Not copied: must stay as they are until the append has settled. */
  readonly bytes: Uint8Array;
  /** On a payload's last piece: the salt that opens the record's commitment. */
  readonly salt?: Uint8Array;
}

/**
 * The log as the rest of the server writes it.
 *
 * Durability: a promise resolves when the record and its pieces are on stable storage (SQLite: WAL, synchronous=FULL,
 * committed), never before. Atomicity: one call's drafts and pieces are in one transaction. Order: calls become durable
 * in the order in which they were made. Group commit: whatever waits is written in one transaction.
 * When the store cannot write, every promise rejects with HoopishError `evidence_unavailable`, also for what follows,
 * until a later write has succeeded; nothing is dropped in silence. A rejected append has left nothing behind, so the same
 * drafts and pieces may be appended again.
 *
 * A piece is taken for a call whose call.decided came before it (or with it) and whose end did not, and in the order of
 * its `seq`: payload without a record, or with a hole, is refused (`evidence_unavailable`), alone.
 */
export interface EvidenceLog {
  /**
   * `soon`: durable within a few milliseconds, or together with whatever is appended before that; for a record that
   * nothing waits for yet. Saves a call whose answer comes quickly a write of its own.
   * @returns index in the log of the first draft's record; the others follow it
   */
  append(drafts: readonly RecordDraft[], pieces?: readonly PayloadPiece[], when?: "now" | "soon"): Promise<number>;
  /** False after a write has failed and until one succeeds; /readyz shows it, and calls are refused at once. */
  readonly writable: boolean;
  /** Bytes appended that are not durable yet: who sees it grow stops reading from its peer. */
  readonly pendingBytes: number;
  /** Writes what waits, then closes. */
  close(): Promise<void>;
}

/** The log's size and root, signed (C2SP tlog-checkpoint). */
export interface SignedCheckpoint {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** The signed note, as it was persisted. */
  readonly note: string;
  /** Unix milliseconds. */
  readonly timeMs: number;
}

/** The log's tree, for whoever has to prove something of it. Sizes and indexes count records. */
export interface LogTree {
  readonly origin: string;
  /** The key that signs, for the world. */
  readonly vkey: string;
  /** Signs with it what else is said in the log's name: manifests. */
  readonly signer: NoteSigner;
  /** What was signed last. */
  newest(): SignedCheckpoint;
  /** Signs everything that is durable now, and is durable itself when it resolves. @throws HoopishError evidence_unavailable */
  sign(): Promise<SignedCheckpoint>;
  /** The checkpoint of exactly the first `size` records, signed now if none was. Durable when it resolves. */
  signAt(size: number): Promise<SignedCheckpoint>;
  /** The largest checkpoint that was signed at or before this time (Unix milliseconds), with no later record in it. */
  signedBefore(timeMs: number): Promise<SignedCheckpoint | undefined>;
  /** What was signed of sizes in [from, to], growing. */
  history(from: number, to: number): AsyncIterable<SignedCheckpoint>;
  /** Hears of each checkpoint once it is durable. */
  onSigned(listener: (checkpoint: SignedCheckpoint) => void): void;
  /** Hashes of RFC 6962 §2.1.1 and §2.1.2. @throws HoopishError bad_request beyond the log */
  inclusion(index: number, size: number): Promise<readonly Uint8Array[]>;
  consistency(size1: number, size2: number): Promise<readonly Uint8Array[]>;
  root(size: number): Promise<Uint8Array>;
  /** Roots of the perfect subtrees of the first `size` records, largest first. */
  edge(size: number): Promise<readonly Uint8Array[]>;
}

export interface CallFilter {
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly user: string | undefined;
  readonly connection: string | undefined;
  readonly session: SessionId | undefined;
  readonly verdict: "allow" | "hold" | "block" | undefined;
}

/** Each member that is given must fit. */
export interface RecordFilter {
  readonly types: readonly RecordType[] | undefined;
  /** Who acted. */
  readonly user: string | undefined;
  readonly connection: string | undefined;
  readonly session: SessionId | undefined;
  readonly call: CallId | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
}

export interface FoundRecord {
  readonly index: number;
  /** The record's exact text. */
  readonly leaf: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/** A call as the log tells it, with the time of the record that ended it. */
export interface RecordedCall extends CallView {
  readonly endedAt?: string;
}

export interface TimedPiece {
  readonly bytes: Uint8Array;
  /** Milliseconds since the call's call.decided. */
  readonly atMs: number;
}

export interface RecordBytes {
  readonly index: number;
  readonly leaf: Uint8Array;
}

export interface WantedFields {
  readonly call: CallId;
  readonly fields: readonly PayloadField[];
}

/** A payload that the vault has. */
export interface KeptPayload {
  readonly field: PayloadField;
  readonly length: number;
  /** Undefined where a crash cut it. */
  readonly salt: Uint8Array | undefined;
  /** All of it, in one or more chunks. @throws HoopishError purged when it is gone by then */
  chunks(): AsyncIterable<Uint8Array>;
}

/** The log as auditors read it. Reads see only what is durable, and do not hold up writers. */
export interface EvidenceReader {
  /** Newest first. `cursor` is a page's `next`. */
  calls(filter: CallFilter, limit: number, cursor: string | undefined): Promise<Page<RecordedCall>>;
  call(id: CallId): Promise<CallStory | undefined>;
  /** Records of any type, newest first. `cursor` is a page's `next`. */
  search(filter: RecordFilter, limit: number, cursor: string | undefined): Promise<Page<FoundRecord>>;
  /** @throws HoopishError purged, in the middle too: then what came before it is not the whole */
  payload(id: CallId, field: PayloadField): AsyncIterable<Uint8Array>;
  /** A payload as it flowed: its bytes, and when each part of them was taken. @throws as `payload` */
  pieces(id: CallId, field: PayloadField): AsyncIterable<TimedPiece>;
  /** Sessions that have ended or were left open by a crash, newest first; of one user when `user` is given. */
  pastSessions(user: string | undefined, limit: number, cursor: string | undefined): Promise<Page<SessionView>>;
  session(id: SessionId): Promise<SessionView | undefined>;
  /** Records [from, to), in batches of some hundred kilobytes: their exact bytes. */
  records(from: number, to: number): AsyncIterable<readonly RecordBytes[]>;
  /** For each call, in the order given, those of its payloads that the vault has. */
  kept(wanted: readonly WantedFields[]): AsyncIterable<readonly KeptPayload[]>;
  /** Every record in [since, until), in the log's order, in batches; with `payloads` each record's finished bodies follow it. */
  export(
    range: { readonly sinceMs: number; readonly untilMs: number },
    payloads: boolean,
  ): AsyncIterable<readonly ExportItem[]>;
}

/**
 * A payload comes in one or more items, `offset` 0 first, without a gap, before the next record. An item is empty only
 * when the payload is.
 */
export type ExportItem =
  | { readonly kind: "record"; readonly index: number; readonly leaf: string }
  | {
      readonly kind: "payload";
      readonly call: CallId;
      readonly field: PayloadField;
      readonly salt: Uint8Array | undefined;
      /** Bytes of the whole payload; the last item ends there. */
      readonly length: number;
      /** The whole payload is valid UTF-8. */
      readonly utf8: boolean;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  /**
   * A payload that the log tells of and that is not kept. `offset` above 0: it was destroyed while it was exported, so many
   * of its bytes came before this, and the rest does not come.
   */
  | {
      readonly kind: "gone";
      readonly call: CallId;
      readonly field: PayloadField;
      readonly length: number;
      readonly offset: number;
      readonly state: "purged" | "missing";
      /** `purged`: indexes of the records that may tell of it. */
      readonly purges?: readonly number[];
    };
