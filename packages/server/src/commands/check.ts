import { checkConfig } from "../config/load.ts";
import { configurationError } from "../config/mistake.ts";
import { world } from "./world.ts";

/** Every mistake in a configuration. */
export function check(file: string, json: boolean): void {
  const checked = checkConfig(file, world);
  const mistakes = "mistakes" in checked ? checked.mistakes : [];
  if (json) process.stdout.write(`${JSON.stringify({ ok: mistakes.length === 0, mistakes })}\n`);
  else if (mistakes.length > 0) throw configurationError(mistakes);
  else process.stdout.write(`${file}: no mistakes\n`);
  process.exitCode = mistakes.length === 0 ? 0 : 78;
}
