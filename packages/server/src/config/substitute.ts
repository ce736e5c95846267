// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { isAbsolute, resolve } from "node:path";
import { printable } from "./mistake.ts";
import { decodeUtf8 } from "./text.ts";

/** The world outside of the configuration's text. */
export interface ConfigWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The bytes of a file. @throws what node:fs throws */
  readonly readFile: (path: string) => Uint8Array;
}

/** Bytes of a file that `${file:…}` names, at most. */
const MAX_SUBSTITUTED_BYTES = 65_536;

export type Substitution =
  | { readonly text: string; readonly substituted: boolean }
  | { readonly mistakes: readonly string[] };

/**
 * Puts `${env:NAME}` and `${file:PATH}` into one scalar of the parsed document: what comes in is text and stays text,
 * it can add no key and no list item, and is itself not looked at for more substitutions. `$${` stands for a plain `${`.
 * A file's last line end is dropped, as every editor and `echo` writes one; relative paths start at `folder`.
 * The messages name the variable or the file, never a value.
 */
export function substitute(scalar: string, folder: string, world: ConfigWorld): Substitution {
  const mistakes: string[] = [];
  let substituted = false;
  const text = scalar.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, inside: string | undefined, end: string) => {
    if (inside === undefined) return whole.slice(1);
    const found = end === "" ? { mistake: "a ${ without its }" } : lookUp(inside, folder, world);
    substituted = true;
    if ("value" in found) return found.value;
    mistakes.push(found.mistake);
    return "";
  });
  return mistakes.length > 0 ? { mistakes } : { text, substituted };
}

type Found = { readonly value: string } | { readonly mistake: string };

function lookUp(inside: string, folder: string, world: ConfigWorld): Found {
  const [, kind, name] = /^(env|file):(.+)$/s.exec(inside) ?? [];
  if (name === undefined) {
    return { mistake: "only ${env:NAME} and ${file:PATH} are known; write $${ for a plain ${" };
  }
  return kind === "env" ? fromEnvironment(name, world) : fromFile(name, folder, world);
}

function fromEnvironment(name: string, { env }: ConfigWorld): Found {
  if (!/^[A-Za-z_]\w*$/.test(name)) return { mistake: `${printable(name)} is no name of an environment variable` };
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (value === undefined) return { mistake: `the environment variable ${name} is not set` };
  return value === "" ? { mistake: `the environment variable ${name} is empty` } : { value };
}

function fromFile(name: string, folder: string, { readFile }: ConfigWorld): Found {
  const file = isAbsolute(name) ? name : resolve(folder, name);
  const shown = `the file ${printable(name)}`;
  let bytes: Uint8Array;
  try {
    bytes = readFile(file);
  } catch (error) {
    return { mistake: `${shown} cannot be read${reasonOf(error)}` };
  }
  if (bytes.byteLength > MAX_SUBSTITUTED_BYTES) return { mistake: `${shown} is larger than 64 KiB` };
  const value = decodeUtf8(bytes)?.replace(/\r?\n$/, "");
  if (value === undefined) return { mistake: `${shown} is not UTF-8 text` };
  return value === "" ? { mistake: `${shown} is empty` } : { value };
}

/** ` (ENOENT)`: the code of a system error; its message would repeat the path. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z_]+$/.test(code) ? ` (${code})` : "";
}
