import { randomUUID } from "node:crypto";
import { encodeRecord, HoopishError, type RecordDraft, uuidv7 } from "@hoopish/protocol";
import { type Admission, OpenCalls } from "./open-calls.ts";
import type { EvidenceLog, PayloadPiece } from "./port.ts";
import { type Batch, type EvidenceStore, type Leaf, type PayloadPart, type StoreChange, StoreLost } from "./store.ts";

export interface EvidenceLogOptions {
  /** Which server this is, when there are several. */
  readonly replica: string;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** After a failure the store is tried again this often, also when nothing is appended. */
  readonly probeMs?: number;
}

/** The log with what adapters need of it: a change of theirs in one transaction with the records that tell of it. */
export interface WritableLog extends EvidenceLog {
  appendWith(drafts: readonly RecordDraft[], change: StoreChange): Promise<number>;
}

/** One batch holds about so much, so that a large payload does not make everybody wait for all of it. */
const MAX_BATCH_BYTES = 1024 * 1024;
const PROBE_MS = 2_000;
/** What "soon" means. A model server that answers within it has request and answer recorded in one write. */
const SOON_MS = 3;

/** With so few calls open, a wait for the disk holds up nobody else. */
const FEW_CALLS = 2;

interface Waiting {
  readonly leaves: readonly Leaf[];
  readonly admission: Admission;
  readonly change: StoreChange | undefined;
  readonly bytes: number;
  readonly timeMs: number;
  readonly resolve: (index: number) => void;
  readonly reject: (error: HoopishError) => void;
}

/**
 * Numbers, stamps and encodes drafts as they come, and hands everything that waits to the store as one batch (group
 * commit). After a failure all that waits is refused and the numbers `n` of the refused are used again: nothing of them
 * was written, so a hole in `n` always means a record that was lost, never one that was refused.
 */
export function createEvidenceLog(store: EvidenceStore, options: EvidenceLogOptions): WritableLog {
  return new GroupCommitLog(store, options);
}

class GroupCommitLog implements WritableLog {
  readonly #store: EvidenceStore;
  readonly #replica: string;
  readonly #clock: () => number;
  readonly #probeMs: number;
  readonly #open = new OpenCalls();
  #state: "open" | "failing" | "closed" = "open";
  #boot = randomUUID() as string;
  /** The next record's `n`. */
  #n = 0;
  #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #scheduled = false;
  #later: NodeJS.Timeout | undefined;
  #pendingBytes = 0;
  #probe: NodeJS.Timeout | undefined;

  constructor(store: EvidenceStore, options: EvidenceLogOptions) {
    this.#store = store;
    this.#replica = options.replica;
    this.#clock = options.clock ?? Date.now;
    this.#probeMs = options.probeMs ?? PROBE_MS;
  }

  get writable(): boolean {
    return this.#state === "open";
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(
    drafts: readonly RecordDraft[],
    pieces: readonly PayloadPiece[] = [],
    when: "now" | "soon" = "now",
  ): Promise<number> {
    return this.#take(drafts, pieces, undefined, when);
  }

  appendWith(drafts: readonly RecordDraft[], change: StoreChange): Promise<number> {
    return this.#take(drafts, [], change, "now");
  }

  async close(): Promise<void> {
    this.#state = "closed";
    clearTimeout(this.#probe);
    this.#scheduled = this.#waiting.length > 0 && this.#committing === undefined;
    if (this.#scheduled) this.#flush();
    while (this.#committing !== undefined) await this.#committing;
  }

  #take(
    drafts: readonly RecordDraft[],
    pieces: readonly PayloadPiece[],
    change: StoreChange | undefined,
    when: "now" | "soon",
  ): Promise<number> {
    if (this.#state === "closed") return Promise.reject(unavailable("the log is closed"));
    const first = this.#n;
    const timeMs = this.#clock();
    let leaves: Leaf[];
    let admission: Admission;
    try {
      leaves = this.#encode(drafts, timeMs);
      admission = this.#open.admit(drafts, pieces);
    } catch (error) {
      this.#n = first;
      return Promise.reject(error);
    }
    let bytes = 0;
    for (const leaf of leaves) bytes += leaf.text.length;
    for (const piece of pieces) bytes += piece.bytes.byteLength;
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ leaves, admission, change, bytes, timeMs, resolve, reject });
      if (when === "now") this.#schedule();
      else this.#later ??= setTimeout(() => this.#soonIsNow(), SOON_MS);
    });
  }

  #encode(drafts: readonly RecordDraft[], timeMs: number): Leaf[] {
    if (drafts.length === 0) return NO_LEAVES;
    const time = new Date(timeMs).toISOString();
    return drafts.map((draft) => {
      const src = { replica: this.#replica, boot: this.#boot, n: this.#n++ };
      return { text: encodeRecord(draft, { id: uuidv7(), time, src }), draft, timeMs };
    });
  }

  #soonIsNow(): void {
    this.#later = undefined;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing !== undefined) return;
    this.#scheduled = true;
    // After all that this turn of the event loop has read: one batch for all of it.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (!this.#scheduled) return;
    this.#scheduled = false;
    clearTimeout(this.#later);
    this.#later = undefined;
    const taken = this.#takeBatch();
    if (taken.length === 0) return;
    this.#committing = this.#store.commit(toBatch(taken, this.#open.size <= FEW_CALLS)).then(
      (first) => this.#written(taken, first),
      (cause: unknown) => this.#failed(taken, cause),
    );
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < MAX_BATCH_BYTES) bytes += (this.#waiting[count++] as Waiting).bytes;
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }

  #written(taken: readonly Waiting[], first: number): void {
    this.#committing = undefined;
    if (this.#state === "failing") {
      this.#state = "open";
      clearTimeout(this.#probe);
    }
    for (const item of taken) this.#pendingBytes -= item.bytes;
    if (this.#waiting.length > 0) {
      this.#scheduled = true;
      this.#flush();
    }
    let index = first;
    for (const item of taken) {
      item.resolve(index);
      index += item.leaves.length;
    }
  }

  #failed(taken: readonly Waiting[], cause: unknown): void {
    this.#committing = undefined;
    const refused = [...taken, ...this.#waiting];
    this.#waiting = [];
    this.#pendingBytes = 0;
    for (const item of refused.toReversed()) this.#open.undo(item.admission);
    if (cause instanceof StoreLost) {
      // Some of these numbers may be durable: a new boot, so that none is ever used twice.
      this.#boot = randomUUID();
      this.#n = 0;
      this.#open.clear();
    } else {
      for (const item of refused) this.#n -= item.leaves.length;
    }
    if (this.#state !== "closed") {
      this.#state = "failing";
      this.#probeLater();
    }
    for (const item of refused) item.reject(unavailable("the call's evidence cannot be written now", cause));
  }

  /** So that the log recovers when calls are refused because of it, and nothing is appended. */
  #probeLater(): void {
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => {
      if (this.#state !== "failing") return;
      if (this.#committing !== undefined) return this.#probeLater();
      this.#committing = this.#store.probe().then(
        () => this.#written([], 0),
        () => {
          this.#failed([], undefined);
        },
      );
    }, this.#probeMs).unref();
  }
}

function toBatch(taken: readonly Waiting[], quiet: boolean): Batch {
  const leaves: Leaf[] = [];
  const changes: StoreChange[] = [];
  const parts: GrowingPart[] = [];
  for (const item of taken) {
    for (const leaf of item.leaves) leaves.push(leaf);
    if (item.change !== undefined) changes.push(item.change);
    for (const piece of item.admission.pieces) addPiece(parts, piece, item.timeMs);
  }
  return { leaves, parts, changes, quiet };
}

interface GrowingPart extends PayloadPart {
  readonly bytes: Uint8Array[];
  salt: Uint8Array | undefined;
}

/** Adjacent pieces of one payload become one part. */
function addPiece(parts: GrowingPart[], { call, field, bytes, salt }: PayloadPiece, timeMs: number): void {
  const last = parts.at(-1);
  if (last === undefined || last.call !== call || last.field !== field) {
    parts.push({ call, field, bytes: [bytes], salt, timeMs });
  } else {
    last.bytes.push(bytes);
    last.salt = salt;
  }
}

const NO_LEAVES: Leaf[] = [];

const unavailable = (message: string, cause?: unknown): HoopishError =>
  new HoopishError("evidence_unavailable", message, { cause });
