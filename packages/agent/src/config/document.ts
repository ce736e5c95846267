import { isMap, isNode, isPair, isScalar, LineCounter, type Node, type ParsedNode, parseDocument } from "yaml";
import type { Mistake } from "./config.ts";

export type Path = readonly PropertyKey[];

/** A YAML text as plain values, and where each of them stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** Syntax errors; when there are any, `value` is not to be used. */
  readonly mistakes: readonly Mistake[];
  /** A mistake at the value of `path`, or at the nearest enclosing value that exists; `key`: at that key of the value. */
  mistake(path: Path, message: string, key?: string): Mistake;
}

/** Reads YAML 1.2 (so `no` and `on` are text). Never throws on what the text says. */
export function parseYaml(text: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument<ParsedNode>(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): { line: number; column: number } => {
    const position = lines.linePos(offset);
    return { line: Math.max(1, position.line), column: Math.max(1, position.col) };
  };
  const mistakes = document.errors.map((error) => ({ ...at(error.pos[0]), path: "", message: error.message }));
  let value: unknown;
  if (mistakes.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch {
      mistakes.push({ line: 1, column: 1, path: "", message: "too many aliases" });
    }
  }
  return {
    value,
    mistakes,
    mistake(path, message, key) {
      const node = nearest(document.contents, path);
      const named = key === undefined ? undefined : keyNode(node, key);
      return { ...at((named ?? node)?.range?.[0] ?? 0), path: formatPath(path), message };
    },
  };
}

function nearest(root: ParsedNode | null, path: Path): Node | undefined {
  let node: unknown = root;
  let found: Node | undefined = root ?? undefined;
  for (const step of path) {
    if (!isNode(node) || !("get" in node) || typeof node.get !== "function") break;
    node = node.get(step, true);
    if (isNode(node)) found = node;
  }
  return found;
}

function keyNode(node: Node | undefined, key: string): Node | undefined {
  if (!isMap(node)) return undefined;
  const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
  return isNode(pair?.key) ? pair.key : undefined;
}

function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? String(step) : `${text}.${String(step)}`;
  }, "");
}
