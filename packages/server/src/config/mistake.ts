import { HoopishError } from "@hoopish/protocol";

/** One thing that is wrong with the configuration, and where. Never holds a value from the environment or a file. */
export interface ConfigMistake {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 code units. */
  readonly column: number;
  /** As in `connections[0].limits.requestBytes`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Keys and indices from the top of the document down. */
export type Path = readonly (string | number)[];

/** A mistake before its place in the file is known as line and column. */
export interface Finding {
  readonly path: Path;
  /** Where, when it is not at the value of `path`: UTF-16 code units from the start of the text. */
  readonly offset?: number;
  readonly message: string;
}

/** More than this are not listed: the rest follows from these, or the file is no configuration at all. */
const MAX_LISTED = 100;

export function formatMistake(mistake: ConfigMistake): string {
  const { file, line, column, path, message } = mistake;
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** The error that ends a start with exit code 78 and lists every mistake, one a line. */
export function configurationError(mistakes: readonly ConfigMistake[]): HoopishError {
  const lines = mistakes.slice(0, MAX_LISTED).map(formatMistake);
  if (mistakes.length > MAX_LISTED) lines.push(`… and ${mistakes.length - MAX_LISTED} more`);
  const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  return new HoopishError("configuration", `the configuration has ${count}\n${lines.join("\n")}`, {
    hint: "hoopish-server check --config FILE  lists them again; hoopish-server init  writes a configuration to start from",
  });
}

/** In order of place; two findings that say the same of the same place are one. */
export function inOrder(mistakes: readonly ConfigMistake[]): ConfigMistake[] {
  const sorted = [...mistakes].sort(
    (a, b) => a.line - b.line || a.column - b.column || compare(a.path, b.path) || compare(a.message, b.message),
  );
  return sorted.filter((mistake, index) => index === 0 || !same(mistake, sorted[index - 1]));
}

export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${printable(step)}]`;
  }
  return text;
}

/** Text of the file in quotes, fit for a terminal: short, nothing but visible ASCII. */
export function printable(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return JSON.stringify(shown).replace(/[^\x20-\x7e…]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function same(a: ConfigMistake, b: ConfigMistake | undefined): boolean {
  return b !== undefined && a.line === b.line && a.column === b.column && a.path === b.path && a.message === b.message;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
