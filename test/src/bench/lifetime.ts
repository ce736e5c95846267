import { setTimeout as sleep } from "node:timers/promises";
import { childrenOf } from "./proc.ts";

const ONE_END_MS = 15_000;

/** Everything that the run started, ended in reverse order: at its end, when it fails, and at SIGINT. */
export class Lifetime {
  readonly #ends: { readonly what: string; readonly end: () => unknown }[] = [];
  #closing: Promise<void> | undefined;

  /** True once the end has begun: errors from now on are its consequences. */
  get over(): boolean {
    return this.#closing !== undefined;
  }

  defer(what: string, end: () => unknown): void {
    this.#ends.push({ what, end });
  }

  /** Ends all, then whatever child is left, by its id. Never rejects; twice is once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  endOnSignals(): void {
    const stop = (code: number) => (): void => {
      // The second signal means: now.
      if (this.over) {
        for (const pid of childrenOf(process.pid)) kill(pid, "SIGKILL");
        process.exit(code);
      }
      process.stderr.write("bench: interrupted; ending what was started\n");
      void this.close().then(() => process.exit(code));
    };
    process.on("SIGINT", stop(130));
    process.on("SIGTERM", stop(143));
  }

  async #close(): Promise<void> {
    for (const { what, end } of this.#ends.reverse()) {
      try {
        await Promise.race([end(), late(what)]);
      } catch (error) {
        process.stderr.write(`bench: ending ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
    await endChildren();
  }
}

async function late(what: string): Promise<void> {
  await sleep(ONE_END_MS, undefined, { ref: false });
  throw new Error(`${what} did not end within ${ONE_END_MS / 1000} s`);
}

/** A start that was interrupted half-way has children that nobody else knows of. */
async function endChildren(): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const pid of childrenOf(process.pid)) kill(pid, signal);
    for (let waited = 0; waited < 2000 && childrenOf(process.pid).length > 0; waited += 50) await sleep(50);
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
