import type {
  HoldId,
  HoldRequest,
  HoldView,
  MonthPlan,
  PurgedMonth,
  RecordActor,
  RetentionClass,
} from "@hoopish/protocol";

/** Payloads of one class whose calls were decided in [from, to), a month of UTC; times are RFC 3339. */
export interface PayloadMonth {
  readonly class: RetentionClass;
  readonly from: string;
  readonly to: string;
}

/** Who acts, as the record names them: `by` for people, `actor` where somebody signed in. */
export interface Who {
  readonly by: string;
  readonly actor?: RecordActor;
}

/**
 * What destroys payloads, and what keeps them from it.
 *
 * Atomicity: the record and what it tells of (the destruction, the hold) are one transaction. A hold that was placed before
 * a purge's record keeps all that it fits. Concurrency: purges wait for one another. A crash in the middle of a purge leaves
 * either everything readable and no record, or everything unreadable and the record; `finish` brings to an end what is left
 * to do then.
 */
export interface RetentionStore {
  /** Classes and months of which payloads are kept, oldest first. */
  months(): Promise<readonly PayloadMonth[]>;
  /** What a purge of it would do now. */
  survey(month: PayloadMonth): Promise<MonthPlan>;
  /**
   * Destroys a class's and month's payloads but for those that holds keep, however young they are. Undefined: there is
   * nothing to destroy, or one of its calls still runs. An abort is heeded between two steps.
   */
  purge(month: PayloadMonth, who: Who, signal: AbortSignal): Promise<PurgedMonth | undefined>;
  /** Deletes what purges that were interrupted have destroyed. @throws HoopishError conflict when a reader is in the way */
  finish(signal: AbortSignal): Promise<void>;
  /** Newest first. */
  holds(which: "active" | "all"): Promise<readonly HoldView[]>;
  place(request: HoldRequest, who: Who): Promise<HoldView>;
  /** @throws HoopishError not_found; conflict when it is released already */
  release(id: HoldId, reason: string, who: Who): Promise<HoldView>;
}
