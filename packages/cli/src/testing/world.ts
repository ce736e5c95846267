import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { onTestFinished } from "vitest";
import { run } from "../run.ts";
import type { OutputStream, StopSignal, World } from "../world.ts";

/** A configuration folder that goes away with the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "hoopish-cli-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Collects what is written, and lets a test wait for it. */
export class Capture extends PassThrough {
  readonly isTTY: boolean;
  readonly columns = 100;
  text = "";

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
    this.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("utf8");
    });
  }

  get lines(): readonly string[] {
    return this.text.split("\n").filter((line) => line !== "");
  }

  /** The first JSON line for which `wanted` is true, when it comes. */
  async event<T = Record<string, unknown>>(
    wanted: (event: Record<string, unknown>) => boolean,
    ms = 10_000,
  ): Promise<T> {
    for (const end = Date.now() + ms; Date.now() < end; ) {
      for (const line of this.lines.filter((text) => text.startsWith("{"))) {
        const event = tryParse(line);
        if (event !== undefined && wanted(event)) return event as T;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`the event did not come; there is: ${this.text}`);
  }
}

function tryParse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

export interface TestWorld extends World {
  readonly stdout: Capture;
  readonly stderr: Capture;
  readonly configDir: string;
  signal(name: StopSignal): void;
  readonly exits: number[];
}

export interface TestWorldOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly configDir?: string;
  readonly tty?: boolean;
  readonly now?: () => number;
  /** Standard input is a terminal with somebody at its keys. */
  readonly keys?: World["stdin"]["key"];
  /** What is piped in. */
  readonly stdin?: Uint8Array;
  readonly stdout?: OutputStream;
}

/** No keychain (no D-Bus), no proxy, a configuration folder of its own. */
export function createWorld(options: TestWorldOptions = {}): TestWorld {
  const listeners = new Set<(signal: StopSignal) => void>();
  const configDir = options.configDir ?? tempDir();
  const exits: number[] = [];
  return {
    env: {
      PATH: process.env.PATH ?? "",
      HOOPISH_CONFIG_DIR: configDir,
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${configDir}/no-bus`,
      ...options.env,
    },
    platform: process.platform,
    nodeVersion: process.versions.node,
    execPath: process.execPath,
    home: configDir,
    host: hostname(),
    uid: process.getuid?.(),
    stdin: {
      isTTY: options.keys !== undefined,
      key: options.keys ?? (() => Promise.reject(new Error("no terminal"))),
      bytes: async function* () {
        if (options.stdin !== undefined) yield options.stdin;
      },
    },
    stdout: (options.stdout ?? new Capture(options.tty)) as Capture,
    stderr: new Capture(options.tty),
    now: options.now ?? Date.now,
    onSignal: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exit: (code) => void exits.push(code),
    configDir,
    signal: (name) => {
      for (const listener of listeners) listener(name);
    },
    exits,
  };
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command from beginning to end. */
export async function runCli(argv: readonly string[], options: TestWorldOptions = {}): Promise<Finished> {
  const world = createWorld(options);
  const code = await run(world, argv);
  return { code, stdout: world.stdout.text, stderr: world.stderr.text };
}
