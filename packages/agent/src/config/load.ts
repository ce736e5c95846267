import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import type { z } from "zod";
import { type Building, buildConfig, buildIdentity } from "./build.ts";
import type { AgentConfig, AgentIdentity, Mistake } from "./config.ts";
import { type Path, parseYaml, type YamlDocument } from "./document.ts";
import { expand, type Surroundings } from "./expand.ts";
import { agentFileSchema, IDENTITY_KEYS, identityFileSchema } from "./schema.ts";

export type ReadResult<T> = { readonly config: T } | { readonly mistakes: readonly Mistake[] };

/** Everything that is wrong with a configuration file. The message has one line a mistake. */
export class ConfigError extends HoopishError {
  readonly file: string;
  readonly mistakes: readonly Mistake[];
  constructor(file: string, mistakes: readonly Mistake[]) {
    super("configuration", mistakes.map((mistake) => formatMistake(file, mistake)).join("\n"));
    this.file = file;
    this.mistakes = mistakes;
  }
}

/** `agent.yaml:12:5: connections[0].target: …`, as editors and CI read it. */
export function formatMistake(file: string, { line, column, path, message }: Mistake): string {
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** Reads and checks a configuration file. @throws ConfigError with every mistake in it */
export function loadConfig(file: string, env: Surroundings["env"]): AgentConfig {
  return load(file, env, readConfig);
}

/** The part of a configuration file that joining needs; the rest may still lack its secrets. @throws ConfigError */
export function loadIdentity(file: string, env: Surroundings["env"]): AgentIdentity {
  return load(file, env, readIdentity);
}

/** The text of a configuration → the configuration, or everything that is wrong with it, in the order of the lines. */
export function readConfig(text: string, around: Surroundings): ReadResult<AgentConfig> {
  return read(parseYaml(text), (value) => value, agentFileSchema, buildConfig, around);
}

function readIdentity(text: string, around: Surroundings): ReadResult<AgentIdentity> {
  return read(parseYaml(text), onlyIdentity, identityFileSchema, buildIdentity, around);
}

function onlyIdentity(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => IDENTITY_KEYS.includes(key)));
}

function load<T>(
  file: string,
  env: Surroundings["env"],
  readText: (text: string, around: Surroundings) => ReadResult<T>,
): T {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new ConfigError(file, [{ line: 1, column: 1, path: "", message: `cannot be read (${code})` }]);
  }
  const result = readText(text, { env, folder: dirname(resolve(file)) });
  if ("mistakes" in result) throw new ConfigError(file, result.mistakes);
  return result.config;
}

function read<File, T>(
  document: YamlDocument,
  select: (value: unknown) => unknown,
  schema: z.ZodType<File>,
  build: (file: File, building: Building) => T,
  around: Surroundings,
): ReadResult<T> {
  if (document.mistakes.length > 0) return { mistakes: document.mistakes };
  const mistakes: Mistake[] = [];
  const building: Building = {
    around,
    attempt(path, otherwise, act) {
      try {
        return act();
      } catch (error) {
        mistakes.push(document.mistake(path, error instanceof Error ? error.message : String(error)));
        return otherwise;
      }
    },
  };
  const parsed = schema.safeParse(resolveReferences(select(document.value), [], building));
  if (!parsed.success) {
    // A value whose reference could not be resolved is not wrong a second time by its shape.
    const unresolved = new Set(mistakes.map(({ path }) => path));
    mistakes.push(...schemaMistakes(parsed.error, document).filter(({ path }) => !unresolved.has(path)));
  }
  const config = parsed.success && mistakes.length === 0 ? build(parsed.data, building) : undefined;
  if (config !== undefined && mistakes.length === 0) return { config };
  return { mistakes: mistakes.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** Resolves `${…}` in every value but a credential's: its files stay references, to be read again when they change. */
function resolveReferences(value: unknown, path: Path, building: Building): unknown {
  if (typeof value === "string") {
    const isCredential = path[0] === "connections" && path[2] === "credential" && path[3] === "value";
    return isCredential ? value : building.attempt(path, value, () => expand(value, building.around));
  }
  if (Array.isArray(value)) return value.map((item, index) => resolveReferences(item, [...path, index], building));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, resolveReferences(item, [...path, key], building)]),
  );
}

function schemaMistakes(error: z.ZodError, document: YamlDocument): Mistake[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => document.mistake(issue.path, `there is no setting "${key}" here`, key));
    }
    const name = issue.path.at(-1);
    if (issue.code === "invalid_type" && isAbsent(document.value, issue.path) && typeof name === "string") {
      return [document.mistake(issue.path.slice(0, -1), `"${name}" is missing`)];
    }
    return [document.mistake(issue.path, sentence(issue))];
  });
}

function isAbsent(value: unknown, path: Path): boolean {
  const at = path.reduce<unknown>((node, step) => (node as Record<PropertyKey, unknown> | undefined)?.[step], value);
  return at === undefined;
}

/** The schema library speaks of "input"; what an operator meets most is said in words of the file. */
function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type" && !issue.message.startsWith("Invalid input")) return issue.message;
  if (issue.code === "invalid_type") return `must be ${EXPECTED[issue.expected] ?? `a ${issue.expected}`}`;
  if (issue.code === "too_small" && issue.origin === "string") return "must not be empty";
  if (issue.code === "too_small" && issue.origin === "array") return "must have at least one entry";
  if (issue.code === "too_small") return `must be at least ${issue.minimum}`;
  if (issue.code === "too_big") return `must be at most ${issue.maximum}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.join(", ")}`;
  return issue.message;
}

const EXPECTED: Readonly<Record<string, string>> = {
  object: "a mapping",
  array: "a list",
  string: "text",
  int: "a whole number",
  boolean: "true or false",
};
