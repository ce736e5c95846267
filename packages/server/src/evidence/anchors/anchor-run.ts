import { setTimeout as sleep } from "node:timers/promises";
import type { Anchor, AnchorReceipt, SignedCheckpoint } from "./anchor.ts";

/** A publication that failed; it is tried again. */
export interface AnchorFailure {
  readonly anchor: string;
  readonly error: unknown;
  /** How many in a row by now. */
  readonly consecutive: number;
}

export interface AnchorsPorts {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Told of each failure; the log goes on. Must not throw. */
  readonly report: (failure: AnchorFailure) => void;
  /** Keeps what an anchor gave back. A rejection is reported like a failure of the anchor. */
  readonly keep: (anchor: string, receipt: AnchorReceipt) => Promise<void>;
}

/** How one anchor is doing; plain data, for the control API and metrics. */
export interface AnchorStatus {
  readonly name: string;
  readonly required: boolean;
  /** The newest checkpoint that it took in this run of the server. */
  readonly published: { readonly size: number; readonly atMs: number } | undefined;
  /** Present while it fails. */
  readonly failing: { readonly message: string; readonly sinceMs: number; readonly consecutive: number } | undefined;
  /** Since the server's start. */
  readonly failures: number;
  /** Checkpoints that it should have and does not have yet. */
  readonly waiting: number;
  /** Checkpoints that were given up because too many waited; later ones stand for them. */
  readonly skipped: number;
}

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 300_000;
/** Waiting for an anchor that takes each one: an hour of checkpoints at one a second, a megabyte. */
const MAX_WAITING = 3_600;

/** One anchor's queue and the loop that empties it. The loop runs while something waits, and at most once. */
export class AnchorRun {
  readonly #anchor: Anchor;
  readonly #ports: AnchorsPorts;
  #waiting: SignedCheckpoint[] = [];
  #loop: Promise<void> | undefined;
  #failing: AnchorStatus["failing"];
  #published: AnchorStatus["published"];
  #failures = 0;
  #skipped = 0;
  /** `performance.now()` before which nothing is sent. */
  #notBefore = 0;
  #closing = false;
  /** Aborted when pauses are over: the server ends. */
  readonly #hurry = new AbortController();
  /** Aborted when the time to end is over too. */
  readonly #stop = new AbortController();

  constructor(anchor: Anchor, ports: AnchorsPorts) {
    this.#anchor = anchor;
    this.#ports = ports;
  }

  offer(signed: SignedCheckpoint): void {
    if (this.#closing) return;
    if (this.#anchor.everyMs > 0) this.#waiting = [];
    this.#waiting.push(signed);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#skipped += 1;
    }
    this.#loop ??= this.#empty();
  }

  status(): AnchorStatus {
    return {
      name: this.#anchor.name,
      required: this.#anchor.required,
      published: this.#published,
      failing: this.#failing,
      failures: this.#failures,
      waiting: this.#waiting.length,
      skipped: this.#skipped,
    };
  }

  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    this.#hurry.abort();
    const over = setTimeout(() => this.#stop.abort(), withinMs);
    await this.#loop;
    clearTimeout(over);
  }

  async #empty(): Promise<void> {
    for (;;) {
      await this.#pause();
      // Nothing is taken away while the loop waits, so there is a first one: the newest, at a pace.
      const signed = this.#waiting[0] as SignedCheckpoint;
      const done = await this.#publish(signed);
      if (done) this.#waiting = this.#waiting.filter((one) => one !== signed);
      if (this.#waiting.length > 0 && (done || !this.#closing)) continue;
      // In one step with the look at the queue: what is offered from now on begins a new loop.
      this.#loop = undefined;
      return;
    }
  }

  async #pause(): Promise<void> {
    const ms = this.#notBefore - performance.now();
    if (ms <= 0 || this.#closing) return;
    // Unreferenced: a pause must not keep a process alive that has nothing else to do.
    await sleep(ms, undefined, { signal: this.#hurry.signal, ref: false }).catch(() => {});
  }

  /** @returns whether the anchor has it */
  async #publish(signed: SignedCheckpoint): Promise<boolean> {
    try {
      const receipt = await this.#anchor.publish(signed, this.#stop.signal);
      this.#published = { size: Number(signed.checkpoint.size), atMs: this.#ports.now() };
      this.#notBefore = performance.now() + this.#anchor.everyMs;
      if (receipt !== undefined) await this.#ports.keep(this.#anchor.name, receipt);
      this.#failing = undefined;
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    const consecutive = (this.#failing?.consecutive ?? 0) + 1;
    this.#failures += 1;
    const sinceMs = this.#failing?.sinceMs ?? this.#ports.now();
    this.#failing = { message: error instanceof Error ? error.message : "unknown", sinceMs, consecutive };
    const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (consecutive - 1), LONGEST_BACKOFF_MS);
    // Spread out: the servers that lost an authority together should not come back to it together.
    this.#notBefore = performance.now() + backoff * (0.75 + Math.random() / 2);
    this.#ports.report({ anchor: this.#anchor.name, error, consecutive });
  }
}
