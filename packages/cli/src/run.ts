import { Context } from "./context.ts";
import type { GlobalOptions } from "./globals.ts";
import { Interrupts, stopExitCode } from "./interrupts.ts";
import type { Chosen } from "./program-parts.ts";
import { reportError, toReportable } from "./report.ts";
import { AGENT_WORDS } from "./words.ts";
import type { World } from "./world.ts";

type Parse =
  | { readonly kind: "run"; readonly globals: GlobalOptions; readonly run: Chosen }
  | { readonly kind: "done"; readonly code: number };

/** Runs one command line. Never throws; what goes wrong is on stderr, and in the exit code (INTERFACES.md). */
export async function run(world: World, argv: readonly string[]): Promise<number> {
  const interrupts = new Interrupts(world);
  const json = wantsJson(argv);
  try {
    if (isExternal(argv)) {
      const { runExternal } = await import("./external.ts");
      return await runExternal(world, interrupts, argv);
    }
    const parsed = await parse(world, argv);
    if (parsed.kind === "done") return parsed.code;
    const work = execute(world, interrupts, parsed.globals, parsed.run);
    // A command that does not end in time after a signal is left behind; its connections end with the process.
    return await Promise.race([work, interrupts.graceOver()]);
  } catch (error) {
    if (interrupts.stop !== undefined && isAbort(error)) return stopExitCode(interrupts.stop);
    const known = await toReportable(error);
    if (world.env.HOOPISH_DEBUG) printStack(world, known);
    return reportError(known, world.stderr, json);
  } finally {
    interrupts.dispose();
  }
}

async function execute(world: World, interrupts: Interrupts, globals: GlobalOptions, command: Chosen): Promise<number> {
  const { Output } = await import("./terminal/output.ts");
  const { createStyle } = await import("./terminal/style.ts");
  const { stdout, stderr } = world;
  const style = await createStyle(stdout, world.env);
  const output = new Output({ stdout, stderr, style, json: globals.json, quiet: globals.quiet });
  const context = new Context(world, globals, output, interrupts);
  try {
    const code = await command(context);
    if (typeof code === "number") return code;
    return interrupts.stop === undefined ? 0 : stopExitCode(interrupts.stop);
  } finally {
    await context.dispose();
  }
}

async function parse(world: World, argv: readonly string[]): Promise<Parse> {
  const { buildProgram, globalsOf } = await import("./program.ts");
  const dashes = argv.indexOf("--");
  const words = dashes === -1 ? argv : argv.slice(0, dashes);
  const childCommand = dashes === -1 ? undefined : argv.slice(dashes + 1);
  let chosen: Chosen | undefined;
  const output = {
    writeOut: (text: string) => void world.stdout.write(text),
    writeErr: (text: string) => void world.stderr.write(text),
    columns: world.stdout.isTTY ? world.stdout.columns : undefined,
  };
  const program = buildProgram(output, childCommand, (command) => {
    chosen = command;
  });
  try {
    program.parse(words, { from: "user" });
  } catch (error) {
    return { kind: "done", code: await usageExit(error, world, wantsJson(argv)) };
  }
  if (chosen === undefined) return { kind: "done", code: 3 };
  if (childCommand !== undefined && !words.includes("connect")) {
    const { HoopishError } = await import("@hoopish/protocol");
    throw new HoopishError("usage", "only connect takes a command after --", { hint: "hoopish connect --help" });
  }
  return { kind: "run", globals: globalsOf(program), run: chosen };
}

/** commander's way of ending: help and version are done, everything else is a mistake in the command line. */
async function usageExit(error: unknown, world: World, json: boolean): Promise<number> {
  const { CommanderError } = await import("commander");
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0) return 0;
  // A group without a word: its help is on stderr already.
  if (error.code === "commander.help") return 3;
  const { HoopishError } = await import("@hoopish/protocol");
  const [message = "", ...suggestions] = error.message.replace(/^error: /, "").split("\n");
  const hint = suggestions.join(" ").replace(/^\((.*)\)$/, "$1") || "hoopish --help";
  return reportError(new HoopishError("usage", message, { hint }), world.stderr, json);
}

/** `hoopish server …`, and `hoopish agent WORD …` where the word is not ours. */
function isExternal([group, word]: readonly string[]): boolean {
  if (group === "server") return true;
  if (group !== "agent" || word === undefined || word.startsWith("-")) return false;
  return !AGENT_WORDS.includes(word);
}

/** For errors that come before, or instead of, a parsed command line. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end === -1 ? argv : argv.slice(0, end)).includes("--json");
}

function isAbort(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === "AbortError" || (error.cause as Error | undefined)?.name === "AbortError")
  );
}

function printStack(world: World, error: Error): void {
  for (let at: unknown = error; at instanceof Error; at = at.cause) world.stderr.write(`${at.stack}\n`);
}
