import type { EvidenceReader } from "../evidence/port.ts";
import { recordsOfTypes } from "../evidence/records-of-types.ts";
import { formatNotice, type NotifyFormat } from "./format.ts";
import { NOTICE_TYPES, noticeOf } from "./notice.ts";
import type { Cursor, Send } from "./port.ts";

export interface OutboxOptions {
  readonly name: string;
  readonly format: NotifyFormat;
  readonly key: Buffer | undefined;
  /** Whether a chat's message gets buttons that decide. */
  readonly buttons?: boolean;
  /** Types of notices. */
  readonly events: readonly string[];
  readonly cursor: Cursor;
  readonly send: Send;
  readonly reader: Pick<EvidenceReader, "search">;
  /** Records in the log when the server began: an endpoint that is new hears of nothing older. */
  readonly logSize: number;
  readonly now: () => number;
  /** A try that failed; `consecutive` of them so far. Never given the address's path, which may be a secret. */
  readonly failed: (endpoint: string, error: unknown, consecutive: number) => void;
  readonly retry?: { readonly firstMs: number; readonly mostMs: number };
}

const RETRY = { firstMs: 1_000, mostMs: 300_000 };

/**
 * Notices for one endpoint, in the log's order, each until it was taken. The log is the queue: what is kept beside it is how
 * far this endpoint has come, so a crash loses nothing, and at worst says the last one twice with the same id.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #ended = new AbortController();
  #wanted = true;
  #wake: () => void = () => undefined;
  readonly #running: Promise<void>;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Something may be new. */
  wake(): void {
    this.#wanted = true;
    this.#wake();
  }

  /** What is not out yet goes out after the next start. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { firstMs, mostMs } = this.#options.retry ?? RETRY;
    let consecutive = 0;
    while (!this.#isOver()) {
      if (!this.#wanted) {
        await this.#pause(undefined);
        continue;
      }
      this.#wanted = false;
      try {
        await this.#deliver(() => {
          consecutive = 0;
        });
      } catch (error) {
        if (this.#isOver()) return;
        consecutive++;
        this.#options.failed(this.#options.name, error, consecutive);
        // Half of it by chance: endpoints that come back are not met by everybody at once.
        const ms = Math.min(firstMs * 2 ** (consecutive - 1), mostMs);
        await this.#wait(ms / 2 + (Math.random() * ms) / 2);
        this.#wanted = true;
      }
    }
  }

  async #deliver(delivered: () => void): Promise<void> {
    const { cursor, reader, events, send, now, logSize } = this.#options;
    if (cursor.get() === undefined) await cursor.set(logSize - 1);
    for (const { index, record } of await recordsOfTypes(reader, NOTICE_TYPES, cursor.get())) {
      if (this.#isOver()) return;
      const notice = noticeOf(record);
      if (notice !== undefined && events.includes(notice.type)) {
        const status = await send(formatNotice(notice, record.id, this.#options, now()), this.#ended.signal);
        if (status < 200 || status > 299) throw new Error(`it answered with status ${status}`);
        delivered();
      }
      await cursor.set(index);
    }
  }

  #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  /** A failed endpoint is not tried sooner because there is more to say. */
  async #wait(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    while (!this.#isOver() && performance.now() < endMs) await this.#pause(endMs - performance.now());
  }

  #pause(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver()) return resolve();
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
