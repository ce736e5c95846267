import type { Env, OutputStream } from "../world.ts";

export type Paint = (text: string) => string;

/** The few colours that hoopish uses, by meaning. */
export interface Style {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly odd: Paint;
}

const plain: Paint = (text) => text;
export const PLAIN: Style = { strong: plain, faint: plain, good: plain, bad: plain, odd: plain };

/** A terminal that a person watches: not a pipe, not CI, not `TERM=dumb`. */
export function isLive(stream: OutputStream, env: Env): boolean {
  return stream.isTTY === true && env.TERM !== "dumb" && !isCi(env);
}

export function isCi(env: Env): boolean {
  return env.CI !== undefined && env.CI !== "" && env.CI !== "0" && env.CI !== "false";
}

/** Colours only on a live terminal and without NO_COLOR (https://no-color.org: present and not empty). */
export function wantsColour(stream: OutputStream, env: Env): boolean {
  return isLive(stream, env) && (env.NO_COLOR === undefined || env.NO_COLOR === "");
}

/** chalk is loaded only where colours are wanted. */
export async function createStyle(stream: OutputStream, env: Env): Promise<Style> {
  if (!wantsColour(stream, env)) return PLAIN;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level: 1 });
  return { strong: chalk.bold, faint: chalk.dim, good: chalk.green, bad: chalk.red, odd: chalk.yellow };
}
