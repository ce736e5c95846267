import type { z } from "zod";
import type { ConfigFile } from "./config-file.ts";
import { type Finding, type Path, printable } from "./mistake.ts";
import { nearMiss } from "./near-miss.ts";
import { configFileSchema, configJsonSchema } from "./schema.ts";
import { type Tree, UNKNOWN } from "./tree.ts";
import { unbuiltKey } from "./unbuilt.ts";

export interface Checked {
  /** Absent when there are findings. */
  readonly file?: ConfigFile;
  readonly findings: readonly Finding[];
}

/** The tree against the schema; each thing that does not fit becomes a sentence with a place. */
export function checkShape(tree: Tree): Checked {
  const result = configFileSchema.safeParse(tree.value);
  if (result.success) return { file: result.data, findings: [] };
  const schema: SchemaNode = configJsonSchema();
  return { findings: result.error.issues.flatMap((issue) => explain(issue, tree, schema)) };
}

function explain(issue: z.core.$ZodIssue, tree: Tree, schema: SchemaNode): Finding[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  const value = valueAt(tree.value, path);
  if (value === UNKNOWN) return [];
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, path);
    return issue.keys.map((key) => unknownKey([...path, key], tree, known));
  }
  if (value === undefined && path.length > 0) {
    const around = path.slice(0, -1);
    const name = printable(String(path.at(-1)));
    return [{ path, offset: tree.keyOffsetOf(around), message: `${name} is missing${whatToWrite(issue)}` }];
  }
  if (value === null) return [{ path, message: `nothing is written here${whatToWrite(issue)}` }];
  return [{ path, message: messageOf(issue) }];
}

function unknownKey(path: Path, tree: Tree, known: readonly string[]): Finding {
  const offset = tree.keyOffsetOf(path);
  const unbuilt = unbuiltKey(path);
  if (unbuilt !== undefined) return { path, offset, message: unbuilt };
  const key = String(path.at(-1));
  const meant = nearMiss(key, known);
  const help = meant === undefined ? `known here: ${known.join(", ")}` : `did you mean "${meant}"?`;
  return { path, offset, message: `there is no key ${printable(key)}; ${help}` };
}

/** Zod's own sentences name types and choices and never the value; ours stand in schema.ts. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  if (issue.code === "invalid_value") return `write one of: ${issue.values.map(String).join(", ")}`;
  if (issue.code !== "invalid_type") return issue.message;
  const kinds: Partial<Record<string, string>> = {
    object: "a mapping (key: value)",
    array: "a list",
    string: "a text",
  };
  return `write ${kinds[issue.expected] ?? `a ${issue.expected}`} here`;
}

function whatToWrite(issue: z.core.$ZodIssue): string {
  const message = messageOf(issue);
  return message.startsWith("write ") ? `: ${message}` : "";
}

/** The keys that may stand in the mapping at `path`, as the JSON Schema has them. */
function knownKeys(schema: SchemaNode, path: Path): string[] {
  let node = schema;
  for (const step of path) {
    node = (typeof step === "number" ? node.items : node.properties?.[step]) ?? {};
  }
  return Object.keys(node.properties ?? {});
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
}

/** The part of the tree at `path`; undefined when there is none. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
