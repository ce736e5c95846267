import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINS = {
  hoopish: "../../../packages/cli/bin/hoopish.mjs",
  "hoopish-server": "../../../packages/server/bin/hoopish-server.mjs",
  "hoopish-agent": "../../../packages/agent/bin/hoopish-agent.mjs",
  "model-server": "../../../fixtures/dist/model-server/main.js",
  "grpc-model-server": "../../../fixtures/dist/grpc-model-server/main.js",
  postgres: "../../../fixtures/dist/postgres/main.js",
  idp: "../../../fixtures/dist/idp/main.js",
} as const;

export type ProgramName = keyof typeof BINS;

export const binPath = (name: ProgramName): string => fileURLToPath(new URL(BINS[name], import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to its standard input, which is then closed. */
  readonly stdin?: string;
  readonly nodeArgs?: readonly string[];
}

/** A running program of ours, as its user would run it: a process with arguments, output and an exit code. */
export class Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly events: unknown[] = [];
  stdout = "";
  stderr = "";
  readonly #waiting = new Set<() => void>();
  #over: Ended | undefined;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.child = child;
    if (child.stdout !== null) {
      createInterface(child.stdout).on("line", (line) => this.#line(line));
    }
    child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#wake();
    });
    this.ended = once(child, "close").then(([code, signal]) => {
      this.#over = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      this.#wake();
      return this.#over;
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.child.pid;
  }

  /** The first JSON line of its output that `matches`; waits for it. */
  async event<T = Record<string, unknown>>(matches: (event: T) => boolean, timeoutMs = 15_000): Promise<T> {
    return this.until(() => this.events.find((event) => matches(event as T)) as T | undefined, timeoutMs);
  }

  /** Waits until `look` gives something. @throws with the program's output when it ends first or time runs out */
  async until<T>(look: () => T | undefined, timeoutMs = 15_000): Promise<T> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#over !== undefined)
        throw new Error(`${this.name} ended (${JSON.stringify(this.#over)}) ${this.#output()}`);
      const leftMs = endMs - Date.now();
      if (leftMs <= 0) throw new Error(`${this.name}: nothing within ${timeoutMs} ms ${this.#output()}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    if (this.#over === undefined) this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), 30_000);
    const ended = await this.ended;
    clearTimeout(late);
    return ended;
  }

  #line(line: string): void {
    this.stdout += `${line}\n`;
    if (line.startsWith("{")) {
      try {
        this.events.push(JSON.parse(line));
      } catch {
        // Not JSON after all: it stays in stdout.
      }
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #output(): string {
    return `\nstdout: ${this.stdout.slice(-2000)}\nstderr: ${this.stderr.slice(-2000)}`;
  }
}

/** Starts one of our programs under the Node that runs this. */
export function run(name: ProgramName, args: readonly string[], options: ProgramOptions = {}): Program {
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), binPath(name), ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  if (options.stdin !== undefined) child.stdin?.end(options.stdin);
  return new Program(name, child);
}
