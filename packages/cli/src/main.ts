import { homedir, hostname } from "node:os";
import process from "node:process";
import { isatty } from "node:tty";
import { readKey } from "./terminal/key.ts";
import { VERSION } from "./version.ts";
import type { StopSignal, World } from "./world.ts";

/** The composition root: the only reader of argv, environment, clock and process. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  // Asked for by scripts, often: answered before anything else is loaded.
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
    process.stdout.write(`${VERSION}\n`);
    return;
  }
  const { run } = await import("./run.ts");
  const code = await run(createWorld(), argv);
  // Pipes are written asynchronously on some systems, and exit() waits for nothing.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

function createWorld(): World {
  return {
    env: process.env,
    platform: process.platform,
    nodeVersion: process.versions.node,
    execPath: process.execPath,
    home: homedir(),
    host: hostname(),
    uid: process.getuid?.(),
    stdin: {
      // Not process.stdin: opening it would put the descriptor, which a child inherits, into non-blocking mode.
      isTTY: isatty(0),
      key: (signal) => readKey(process.stdin, signal, () => process.kill(process.pid, "SIGINT")),
      bytes: () => process.stdin,
    },
    stdout: process.stdout,
    stderr: process.stderr,
    now: Date.now,
    onSignal: (listener) => {
      const signals: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    exit: (code) => process.exit(code),
  };
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    // A reader that has gone away will never take the rest.
    if (stream.destroyed || stream.errored) return resolve();
    stream.once("error", () => resolve());
    stream.write("", () => resolve());
  });
}
