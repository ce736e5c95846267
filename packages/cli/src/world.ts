import type { Writable } from "node:stream";

export type Env = Readonly<Record<string, string | undefined>>;

/** What ends a command from outside. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** Where a command writes: a terminal, a pipe or a file. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Everything outside the program. `main.ts` makes the real one and is the only reader of argv, environment, clock and
 * process; tests make their own.
 */
export interface World {
  readonly env: Env;
  readonly platform: NodeJS.Platform;
  /** `process.versions.node`. */
  readonly nodeVersion: string;
  /** The Node binary that runs us. */
  readonly execPath: string;
  /** The user's home folder. */
  readonly home: string;
  /** The machine's own name for itself. */
  readonly host: string;
  /** Absent where the system has no numeric users (Windows). */
  readonly uid: number | undefined;
  readonly stdin: {
    readonly isTTY: boolean;
    /** Waits for one key, where it is a terminal. @throws the signal's reason */
    key(signal: AbortSignal): Promise<string>;
    /** All that is piped in. */
    bytes(): AsyncIterable<Uint8Array>;
  };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Unix milliseconds. */
  now(): number;
  /** @returns a function that takes the listener away again */
  onSignal(listener: (signal: StopSignal) => void): () => void;
  /** Ends the process at once: for a second SIGINT, and nothing else. */
  exit(code: number): void;
}
