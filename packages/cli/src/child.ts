import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Interrupts } from "./interrupts.ts";
import type { StopSignal, World } from "./world.ts";

/**
 * Waits for a child that has our terminal, as a shell does. Signals are the child's affair: one from the terminal
 * reaches it by itself, since it is in the same process group; any other is passed on.
 * @returns its exit code, 128+n for a signal, 127 when it is not there, 126 when it cannot be run
 */
export async function runChild(
  child: ChildProcess,
  command: string,
  world: Pick<World, "stdin" | "stderr" | "exit">,
  interrupts: Interrupts,
): Promise<number> {
  const giveBack = interrupts.handOver((signal: StopSignal) => {
    if (signal !== "SIGINT" || !world.stdin.isTTY) child.kill(signal);
  });
  try {
    return await new Promise<number>((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => resolve(cannotRun(error, command, world)));
      child.once("exit", (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? "SIGTERM"] ?? 0)));
    });
  } finally {
    giveBack();
  }
}

/** The codes that POSIX gives shells for a command that is not found, and for one that cannot be executed. */
function cannotRun(error: NodeJS.ErrnoException, command: string, world: Pick<World, "stderr">): number {
  const missing = error.code === "ENOENT";
  const why = missing ? "it is not there" : (error.code ?? error.message);
  const hint = missing ? "check its name and PATH" : "check its permissions; on Windows run scripts through cmd /c";
  world.stderr.write(`hoopish: ${command} cannot be run: ${why}\n  try: ${hint}\n`);
  return missing ? 127 : 126;
}
