import type { PurgedMonth, RetentionClass, RetentionPlan } from "@hoopish/protocol";
import type { PayloadMonth, RetentionStore, Who } from "./port.ts";

export interface RetentionOptions {
  /** How long payloads of a class are kept after the end of their month. */
  readonly payloadsMs: Readonly<Record<RetentionClass, number>>;
  readonly store: RetentionStore;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Which payloads' time is over, and their end. */
export class Retention {
  readonly holds: Pick<RetentionStore, "holds" | "place" | "release">;
  readonly #options: RetentionOptions;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.holds = options.store;
  }

  /** What a purge would do now. Changes nothing. */
  async plan(): Promise<RetentionPlan> {
    const months = [];
    for (const month of await this.#due()) months.push(await this.#options.store.survey(month));
    return { months };
  }

  /**
   * Destroys every payload whose time is over and that no hold keeps, month after month.
   * @throws HoopishError evidence_unavailable, conflict; what is done then is done, and the next purge does the rest
   */
  async purge(who: Who, signal: AbortSignal): Promise<readonly PurgedMonth[]> {
    const { store } = this.#options;
    await store.finish(signal);
    const purged: PurgedMonth[] = [];
    for (const month of await this.#due()) {
      const done = await store.purge(month, who, signal);
      if (done !== undefined) purged.push(done);
    }
    return purged;
  }

  async #due(): Promise<PayloadMonth[]> {
    const { store, payloadsMs, now } = this.#options;
    const nowMs = now();
    return (await store.months()).filter((month) => Date.parse(month.to) + payloadsMs[month.class] <= nowMs);
  }
}
