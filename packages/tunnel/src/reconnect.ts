import { setTimeout as delay } from "node:timers/promises";
import { TunnelDialError } from "./dial-error.ts";
import type { Tunnel } from "./tunnel.ts";

export type ReconnectState =
  | { readonly kind: "connecting"; readonly attempt: number }
  | { readonly kind: "connected"; readonly tunnel: Tunnel }
  | { readonly kind: "waiting"; readonly attempt: number; readonly delayMs: number; readonly error: Error }
  | { readonly kind: "stopped"; readonly error?: Error };

export interface ReconnectOptions {
  /** Ceiling of the first wait, milliseconds; it doubles with every failure. Default 500. */
  readonly minDelayMs?: number;
  /** Ceiling of every wait, milliseconds; default 30 000. */
  readonly maxDelayMs?: number;
  /** A number in [0, 1); default Math.random. A wait is this part of its ceiling, so that agents do not come in step. */
  readonly jitter?: () => number;
  /** A tunnel that lived this long, milliseconds, counts as a success: the next wait starts small. Default 10 000. */
  readonly stableMs?: number;
  /** Stops, as `stop()` does. */
  readonly signal?: AbortSignal;
  readonly onState?: (state: ReconnectState) => void;
}

/** A tunnel that is dialled again whenever it is lost. */
export interface Reconnecting {
  readonly state: ReconnectState;
  /** The tunnel that takes new streams, if there is one. */
  readonly tunnel: Tunnel | undefined;
  /** The present tunnel or the next one. Rejects when this stops, or with the signal's reason. */
  connected(signal?: AbortSignal): Promise<Tunnel>;
  /** No more dialling; streams under way finish (GOAWAY). */
  stop(): void;
  /** Settles when it has stopped: with the fatal error, or undefined if it was told to. Never rejects. */
  readonly stopped: Promise<Error | undefined>;
}

/**
 * Keeps one tunnel alive: dials, waits for its end or for the peer's GOAWAY, and dials again, waiting between failures
 * a random part of a doubling ceiling. A {@link TunnelDialError} that is fatal (401, for instance) stops it.
 */
export function reconnecting(
  dial: (signal: AbortSignal) => Promise<Tunnel>,
  options: ReconnectOptions = {},
): Reconnecting {
  return new ReconnectLoop(dial, options);
}

class ReconnectLoop implements Reconnecting {
  state: ReconnectState = { kind: "connecting", attempt: 1 };
  readonly stopped: Promise<Error | undefined>;
  readonly #dial: (signal: AbortSignal) => Promise<Tunnel>;
  readonly #options: ReconnectOptions;
  readonly #stop = new AbortController();
  #waiters: { resolve(tunnel: Tunnel): void; reject(error: Error): void }[] = [];

  constructor(dial: (signal: AbortSignal) => Promise<Tunnel>, options: ReconnectOptions) {
    this.#dial = dial;
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) this.stop();
    else signal?.addEventListener("abort", () => this.stop(), { once: true });
    // The first step comes later, so that the caller holds this object when its callbacks come.
    this.stopped = Promise.resolve().then(() => this.#run());
  }

  get tunnel(): Tunnel | undefined {
    return this.state.kind === "connected" && this.state.tunnel.state === "open" ? this.state.tunnel : undefined;
  }

  connected(signal?: AbortSignal): Promise<Tunnel> {
    const { tunnel, state } = this;
    if (tunnel !== undefined) return Promise.resolve(tunnel);
    if (state.kind === "stopped") return Promise.reject(state.error ?? new Error("reconnecting has stopped"));
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiters.push(waiter);
      signal?.addEventListener("abort", () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal.reason);
      });
    });
  }

  stop(): void {
    this.#stop.abort();
    if (this.state.kind === "connected") this.state.tunnel.goAway("stopping");
  }

  async #run(): Promise<Error | undefined> {
    let failures = 0;
    let error: Error | undefined;
    while (!this.#stop.signal.aborted) {
      this.#enter({ kind: "connecting", attempt: failures + 1 });
      try {
        const livedMs = await this.#live(await this.#dial(this.#stop.signal));
        failures = livedMs >= (this.#options.stableMs ?? 10_000) ? 0 : failures + 1;
        error = new Error("the tunnel ended");
      } catch (thrown) {
        error = thrown instanceof Error ? thrown : new Error(String(thrown));
        if (error instanceof TunnelDialError && error.fatal) break;
        failures += 1;
      }
      if (failures > 0) await this.#wait(failures, error);
    }
    const fatal = this.#stop.signal.aborted ? undefined : error;
    this.#enter(fatal === undefined ? { kind: "stopped" } : { kind: "stopped", error: fatal });
    return fatal;
  }

  /** Until the tunnel takes no more streams; how long that was, milliseconds. */
  async #live(tunnel: Tunnel): Promise<number> {
    const since = performance.now();
    if (this.#stop.signal.aborted) tunnel.goAway("stopping");
    else this.#enter({ kind: "connected", tunnel });
    await Promise.race([tunnel.closed, tunnel.draining]);
    return performance.now() - since;
  }

  async #wait(failures: number, error: Error): Promise<void> {
    const { minDelayMs = 500, maxDelayMs = 30_000, jitter = Math.random } = this.#options;
    const ceiling = Math.min(maxDelayMs, minDelayMs * 2 ** (failures - 1));
    const asked = error instanceof TunnelDialError ? (error.retryAfterMs ?? 0) : 0;
    const delayMs = Math.min(maxDelayMs, Math.max(asked, Math.round(jitter() * ceiling)));
    this.#enter({ kind: "waiting", attempt: failures + 1, delayMs, error });
    await delay(delayMs, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #enter(state: ReconnectState): void {
    if (this.#stop.signal.aborted && state.kind !== "stopped") return;
    this.state = state;
    const waiters = this.#waiters;
    if (state.kind === "connected" || state.kind === "stopped") this.#waiters = [];
    if (state.kind === "connected") for (const waiter of waiters) waiter.resolve(state.tunnel);
    if (state.kind === "stopped") {
      for (const waiter of waiters) waiter.reject(state.error ?? new Error("reconnecting has stopped"));
    }
    this.#options.onState?.(state);
  }
}
