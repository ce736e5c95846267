import { HoopishError } from "@hoopish/protocol";
import type { Retention } from "./retention.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Of UTC: the banks' night in Europe and America's late evening. */
const AT_HOUR = 3;
/** After a failure. */
const RETRY_MS = HOUR_MS;
/** A clock that is further ahead of the newest call than this is not believed: what it would destroy cannot be had back. */
const MAX_SILENCE_MS = 45 * DAY_MS;
/** So much may the clock be set forward while the server runs. */
const MAX_JUMP_MS = DAY_MS;

export interface RetentionJobPorts {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** When the newest call was decided that the log had when the server started. */
  readonly newestCallMs: number | undefined;
  readonly report: (error: unknown) => void;
}

/** Purges when the server starts, and then once a day. Nothing waits for it. */
export class RetentionJob {
  readonly #retention: Retention;
  readonly #ports: RetentionJobPorts;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  readonly #startedMs: number;
  readonly #startedMonotonicMs: number = performance.now();

  constructor(retention: Retention, ports: RetentionJobPorts) {
    this.#retention = retention;
    this.#ports = ports;
    this.#startedMs = ports.now();
  }

  /** Aborted by `stop`: purges by hand end with it too. */
  get ending(): AbortSignal {
    return this.#stop.signal;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when nothing of it runs any more. A purge that is under way is interrupted, and goes on at the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    let nextMs = untilHour(this.#ports.now());
    try {
      this.#checkClock();
      await this.#retention.purge({ by: "schedule" }, this.#stop.signal);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#ports.report(error);
      nextMs = Math.min(nextMs, RETRY_MS);
    }
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, nextMs).unref();
  }

  /** Somebody who sees the dates may purge by hand all the same. @throws HoopishError conflict */
  #checkClock(): void {
    const silenceMs = this.#startedMs - (this.#ports.newestCallMs ?? this.#startedMs);
    const ranMs = performance.now() - this.#startedMonotonicMs;
    const jumpMs = this.#ports.now() - this.#startedMs - ranMs;
    if (silenceMs <= MAX_SILENCE_MS && jumpMs <= MAX_JUMP_MS) return;
    const why = jumpMs > MAX_JUMP_MS ? "was set forward" : "is far ahead of the log's newest call";
    throw new HoopishError("conflict", `this machine's clock ${why}: no payloads are destroyed on its word`, {
      hint: "check the date; if it is right, `hoopish audit purge --dry-run`, then without --dry-run",
    });
  }
}

/** Milliseconds until it is AT_HOUR of UTC the next time. */
function untilHour(nowMs: number): number {
  const today = nowMs - (nowMs % DAY_MS) + AT_HOUR * HOUR_MS;
  return (today > nowMs ? today : today + DAY_MS) - nowMs;
}
