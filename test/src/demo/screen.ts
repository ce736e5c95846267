import { relative } from "node:path";
import type { World } from "../world/world.ts";

/** How the demo speaks. Plain text: it must read well in a terminal, a log and a ticket. */

let steps = 0;

export function step(title: string): void {
  steps += 1;
  process.stdout.write(`\n${steps}. ${title}\n`);
}

export function say(line: string): void {
  process.stdout.write(`   ${line}\n`);
}

/** A command as a user would type it. */
export function command(line: string): void {
  process.stdout.write(`   $ ${line}\n`);
}

/** What a command printed. */
export function output(text: string, maxLines = 12): void {
  const lines = text.trimEnd().split("\n");
  for (const line of lines.slice(0, maxLines)) process.stdout.write(`     ${line.slice(0, 160)}\n`);
  if (lines.length > maxLines) process.stdout.write(`     … ${lines.length - maxLines} more lines\n`);
}

export function farewell(world: World, exported: string, tookMs: number, kept: boolean): void {
  const here = (path: string): string => relative(process.cwd(), path);
  process.stdout.write(`
Done in ${(tookMs / 1000).toFixed(1)} s. Where everything is:
   the log           ${here(world.databasePath)}
   the evidence      ${here(exported)}, for: npx hoopish audit verify ${here(exported)} --key '${world.vkey}'
   configurations    ${here(world.path("server.yaml"))}, ${here(world.path("edge-1.yaml"))}
`);
  if (!kept) {
    process.stdout.write("   npm run demo -- --keep   leaves it running, with commands to try\n");
    return;
  }
  const { HOOPISH_CONFIG_DIR, HOOPISH_SERVER } = world.env("scientist");
  process.stdout.write(`
It keeps running; Ctrl-C ends it. In another terminal, here:
   export HOOPISH_SERVER=${HOOPISH_SERVER} HOOPISH_CONFIG_DIR=${HOOPISH_CONFIG_DIR}
   npx hoopish connections
   npx hoopish connect chat
   npx hoopish login --insecure-storage       # as somebody else: risk1@, audit@, contractor@bank.example
`);
}
