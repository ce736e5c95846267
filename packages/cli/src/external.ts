import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HoopishError } from "@hoopish/protocol";
import { runChild } from "./child.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Env, World } from "./world.ts";

/**
 * Runs `hoopish-agent` or `hoopish-server` as git runs git-x: the one installed beside us before one on the PATH, so that
 * the versions fit. Its exit code is ours.
 * @throws HoopishError not_found
 */
export async function runExternal(world: World, interrupts: Interrupts, words: readonly string[]): Promise<number> {
  const [word, ...args] = words;
  const found = findExternal(word as "agent" | "server", world);
  if (found === undefined) {
    throw new HoopishError("not_found", `hoopish-${word} is not installed here`, {
      hint: `npm install -g @hoopish/${word}, on the machine where it shall run`,
    });
  }
  const [command, ...before] = found;
  const child = spawn(command, [...before, ...args], { stdio: "inherit", env: world.env });
  return runChild(child, command, world, interrupts);
}

function findExternal(word: "agent" | "server", world: World): readonly [string, ...string[]] | undefined {
  const beside = besideUs(word);
  if (beside !== undefined) return [world.execPath, beside];
  const program = onPath(`hoopish-${word}`, world.env, world.platform);
  return program === undefined ? undefined : [program];
}

/** The program of `@hoopish/<word>` in a node_modules above us, as its package.json names it: no shell shims needed. */
function besideUs(word: string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const home = join(folder, "node_modules", "@hoopish", word);
    try {
      const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { bin?: Record<string, string> };
      const program = bin?.[`hoopish-${word}`];
      if (program !== undefined && statSync(join(home, program)).isFile()) return join(home, program);
    } catch {
      // Not here: further up.
    }
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
}

/** The first program of that name that can be executed. */
export function onPath(name: string, env: Env, platform: NodeJS.Platform): string | undefined {
  const names = platform === "win32" ? [`${name}.exe`] : [name];
  for (const folder of (env.PATH ?? env.Path ?? "").split(delimiter)) {
    // An empty entry means the current folder, where anybody may have put a program.
    if (folder === "") continue;
    for (const candidate of names) {
      const path = join(folder, candidate);
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) return path;
      } catch {
        // Not here: the next one.
      }
    }
  }
  return undefined;
}
