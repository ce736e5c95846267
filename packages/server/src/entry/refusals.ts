import { type ErrorCode, type RecordActor, toHoopishError } from "@hoopish/protocol";
import type { EvidenceLog } from "../evidence/port.ts";

/** Refusals recorded one by one, a second; what is above that is counted. */
const PER_SECOND = 50;

/**
 * Records sign-ins that were refused. Anybody who reaches the port can cause one, so one by one they could fill the disk:
 * above a rate they are counted, and the count is a record.
 */
export class Refusals {
  readonly #log: EvidenceLog;
  readonly #now: () => number;
  #second = 0;
  #recorded = 0;
  #counted = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: EvidenceLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** `actor`: who it was, where that is known. Durable when it resolves, or counted for the record that follows. Never rejects: the refusal stands anyway. */
  async record(error: unknown, client: string, actor?: RecordActor): Promise<void> {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#recorded = 0;
    }
    const { code, message } = toHoopishError(error);
    if (this.#recorded >= PER_SECOND) {
      this.#counted += 1;
      this.#timer ??= setTimeout(() => this.#recordCount(), 1_000).unref();
      return;
    }
    this.#recorded += 1;
    await this.#append(message, code, { client, ...(actor === undefined ? {} : { actor }) });
  }

  #recordCount(): void {
    this.#timer = undefined;
    const count = this.#counted;
    this.#counted = 0;
    void this.#append("more sign-ins were refused than are recorded one by one", "unauthenticated", { count });
  }

  async #append(
    reason: string,
    code: ErrorCode,
    more: { client?: string; count?: number; actor?: RecordActor },
  ): Promise<void> {
    await this.#log.append([{ type: "auth.refused", reason, code, ...more }]).catch(() => undefined);
  }
}
