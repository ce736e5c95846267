import type { StopSignal, World } from "./world.ts";

const SIGNAL_NUMBERS: Readonly<Record<StopSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** How long a command may tidy up after the first signal: closing sessions, or keeping a token just refreshed. */
const GRACE_MS = 3_000;
/**
 * A signal that comes again so soon is the same one: under npx and other launchers Ctrl-C reaches us from the terminal
 * and from the launcher, which passes it on. No person is that quick.
 */
const ECHO_MS = 500;

export type Stop = { readonly by: StopSignal } | { readonly by: "pipe" };

/** The exit code of a program that a signal ended, as shells give it. A reader that has gone away is no failure. */
export function stopExitCode(stop: Stop): number {
  return stop.by === "pipe" ? 0 : 128 + SIGNAL_NUMBERS[stop.by];
}

/** Ends the running command from outside: signals, and a reader of stdout that has gone away (`| head`). */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #world: World;
  readonly #release: () => void;
  #stop: Stop | undefined;
  #sinceMs = 0;
  #owner: ((signal: StopSignal) => void) | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#release = world.onSignal((signal) => this.#receive(signal));
    world.stdout.on("error", this.#onStdoutError);
  }

  /** Aborted by the first signal; given to everything that waits. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What ended the command, if something did. */
  get stop(): Stop | undefined {
    return this.#stop;
  }

  /** Somebody else answers signals from now on: while a child program owns the terminal, they are the child's. */
  handOver(owner: (signal: StopSignal) => void): () => void {
    this.#owner = owner;
    return () => {
      this.#owner = undefined;
    };
  }

  /** Settles with the exit code when the grace after the first signal is over. */
  graceOver(): Promise<number> {
    return new Promise((resolve) => {
      const wait = (): void => {
        setTimeout(() => resolve(stopExitCode(this.#stop ?? { by: "SIGINT" })), GRACE_MS).unref();
      };
      if (this.signal.aborted) wait();
      else this.signal.addEventListener("abort", wait, { once: true });
    });
  }

  dispose(): void {
    this.#release();
    this.#world.stdout.off("error", this.#onStdoutError);
    // An error that comes after the end of the command must not become an uncaught exception.
    this.#world.stdout.on("error", () => {});
  }

  #receive(signal: StopSignal): void {
    if (this.#owner !== undefined) this.#owner(signal);
    else if (this.#stop === undefined) this.#begin({ by: signal });
    // The second one: the person does not want to wait for the tidying.
    else if (performance.now() - this.#sinceMs > ECHO_MS) this.#world.exit(stopExitCode({ by: signal }));
  }

  readonly #onStdoutError = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") this.#begin({ by: "pipe" });
  };

  #begin(stop: Stop): void {
    if (this.#stop !== undefined) return;
    this.#stop = stop;
    this.#sinceMs = performance.now();
    this.#controller.abort(new DOMException(`stopped by ${stop.by}`, "AbortError"));
  }
}
