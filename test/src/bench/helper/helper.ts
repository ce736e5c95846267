import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Jobs } from "./jobs.ts";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A process of its own for a client: neither the program that directs the run nor another client may disturb its clock.
 */
export class Helper {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor() {
    // The compiler rewrites imports, not URLs: from source this is main.ts, from dist main.js.
    const file = import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js";
    this.#child = fork(new URL(file, import.meta.url), { execArgv: [] });
    this.#child.on("message", ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const asked = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) asked?.resolve(value);
      else asked?.reject(new Error(error));
    });
    this.#child.on("exit", () => {
      for (const asked of this.#waiting.values()) asked.reject(new Error("a helper process ended"));
      this.#waiting.clear();
    });
  }

  /** @throws Error what went wrong in the job, or that it took too long. */
  async run<J extends keyof Jobs>(
    job: J,
    ask: Parameters<Jobs[J]>[0] extends undefined ? undefined : Parameters<Jobs[J]>[0],
    timeoutMs = 60_000,
  ): Promise<Awaited<ReturnType<Jobs[J]>>> {
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.send({ id, job, ask });
    const timer = setTimeout(() => {
      this.#waiting.get(id)?.reject(new Error(`${job} did not end within ${timeoutMs / 1000} s`));
      this.#waiting.delete(id);
    }, timeoutMs);
    try {
      return (await answer) as Awaited<ReturnType<Jobs[J]>>;
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
