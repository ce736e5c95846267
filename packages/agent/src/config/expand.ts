import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { TemplatePart } from "./config.ts";

/** What a configuration may refer to: the process environment, and files relative to the configuration's folder. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
}

const REFERENCE = /\$(\$)?\{([^}]*)\}/g;

/**
 * Splits `Bearer ${env:TOKEN}` into its parts. Environment variables are put in at once; files stay references, so that
 * a credential can follow a file that changes. `$${` is a literal `${`.
 * @throws Error with a sentence for the operator: an unknown source, or a variable that is not set
 */
export function parseTemplate(text: string, around: Surroundings): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let known = "";
  let at = 0;
  for (const match of text.matchAll(REFERENCE)) {
    known += text.slice(at, match.index);
    at = match.index + match[0].length;
    const reference = match[2] ?? "";
    if (match[1] !== undefined) known += `\${${reference}}`;
    else if (reference.startsWith("env:")) known += variable(reference.slice(4), around);
    else if (reference.startsWith("file:") && reference.length > 5) {
      if (known !== "") parts.push(known);
      known = "";
      parts.push({ file: resolve(around.folder, reference.slice(5)) });
    } else throw new Error(`\${${reference}} is not a reference; write \${env:NAME} or \${file:PATH}`);
  }
  known += text.slice(at);
  if (known !== "" || parts.length === 0) parts.push(known);
  return parts;
}

/** The text with every reference resolved now. @throws Error with a sentence for the operator */
export function expand(text: string, around: Surroundings): string {
  if (!text.includes("${")) return text;
  return parseTemplate(text, around)
    .map((part) => (typeof part === "string" ? part : readTextFile(part.file)))
    .join("");
}

/** A file's text without its last line ends, which editors and `echo` put there. @throws Error naming the file */
export function readTextFile(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/[\r\n]+$/, "");
  } catch (error) {
    throw new Error(`cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`);
  }
}

function variable(name: string, around: Surroundings): string {
  const value = around.env[name];
  if (value === undefined || value === "") throw new Error(`the environment variable ${name} is not set`);
  return value;
}
