import { type Command, InvalidArgumentError } from "commander";
import type { Context } from "./context.ts";

/** A command that was parsed and is ready to run. @returns the exit code; anything else is 0 */
export type Chosen = (context: Context) => Promise<unknown>;
export type Choose = (run: Chosen) => void;

/** What every help ends with. */
export function example(command: Command, ...lines: readonly string[]): void {
  command.addHelpText(
    "after",
    `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  $ ${line}`).join("\n")}`,
  );
}

export function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("a port is a number from 0 to 65535");
}

export function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number of at least 1 is needed");
}

/** Of a replay: a number, or `max`. */
export function speed(text: string): number | "max" {
  if (text === "max") return text;
  const number = Number(text.replace(/x$/, ""));
  if (/^\d{1,4}(\.\d{1,3})?x?$/.test(text) && number > 0) return number;
  throw new InvalidArgumentError("a number above 0, or max");
}

export function oneOf<T extends string>(allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((one) => one === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`allowed: ${allowed.join(", ")}`);
  };
}

/** An option that may be given again and again. */
export const gathered = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
