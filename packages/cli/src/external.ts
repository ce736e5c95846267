import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { HoopishError } from "@hoopish/protocol";
import { runChild } from "./child.ts";
import type { Context } from "./context.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Env, World } from "./world.ts";

/**
 * Runs `hoopish-agent` or `hoopish-server` as git runs git-x: the one installed beside us before one on the PATH, so that
 * the versions fit. Its exit code is ours.
 * @throws HoopishError not_found
 */
export async function runExternal(world: World, interrupts: Interrupts, words: readonly string[]): Promise<number> {
  const [word, ...args] = words;
  const [command, ...before] = find(word as Part, world);
  const child = spawn(command, [...before, ...args], { stdio: "inherit", env: world.env });
  return runChild(child, command, world, interrupts);
}

/**
 * Runs hoopish-server for one of our own commands: what it prints is what we print, with our `--json`.
 * @param input what its standard input shall be
 * @throws HoopishError not_found; what breaks off the input
 */
export async function runServerProgram(
  { world, interrupts, globals, signal }: Context,
  args: readonly string[],
  input?: Readable,
): Promise<number> {
  const [command, ...before] = find("server", world);
  const words = [...before, ...args, ...(globals.json ? ["--json"] : [])];
  const child = spawn(command, words, {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env: world.env,
  });
  const out = pipeline(child.stdout as Readable, world.stdout, { end: false });
  const err = pipeline(child.stderr as Readable, world.stderr, { end: false });
  const fed = input === undefined ? undefined : pipeline(input, child.stdin as Writable, { signal });
  const [code, ...flows] = await Promise.all([
    runChild(child, command, world, interrupts),
    ...[out, err, Promise.resolve(fed)].map((flow) => Promise.allSettled([flow]).then(([one]) => one)),
  ]);
  // A program that has ended with its own complaint reads no further: its words matter more than the broken pipe.
  const broken = flows.find((flow) => flow?.status === "rejected") as PromiseRejectedResult | undefined;
  if (code === 0 && broken !== undefined) throw broken.reason;
  return code;
}

type Part = "agent" | "server";

/** @throws HoopishError not_found */
function find(word: Part, world: World): readonly [string, ...string[]] {
  const found = findExternal(word, world);
  if (found !== undefined) return found;
  throw new HoopishError("not_found", `hoopish-${word} is not installed here`, {
    hint: `npm install -g @hoopish/${word}, on the machine where it shall run`,
  });
}

function findExternal(word: Part, world: World): readonly [string, ...string[]] | undefined {
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
