import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { type Finding, type Path, printable } from "./mistake.ts";
import type { Substitution } from "./substitute.ts";

/** The document as plain data, with the place of each part of it. */
export interface Tree {
  readonly value: unknown;
  readonly findings: readonly Finding[];
  /** Where a part begins; for one that is not there, where the nearest part around it does. */
  offsetOf(path: Path): number;
  /** Where its key stands (a list item: where it begins): the place to point at when something in it is missing. */
  keyOffsetOf(path: Path): number;
  /** Whether the value came, in whole or in part, from the environment or a file, and so must not be shown. */
  isSubstituted(path: Path): boolean;
}

interface Spot {
  readonly key: number;
  readonly value: number;
  readonly substituted: boolean;
}

/** Values after aliases are followed, at most: nine lines of aliases to aliases could be a billion. */
const MAX_NODES = 50_000;
const MAX_DEPTH = 32;

/** Expands aliases, substitutes into scalars and finds duplicate keys. Pure but for what `substitute` does. */
export function readTree(document: Document.Parsed, substitute: (scalar: string) => Substitution): Tree {
  const walk = new Walk(document, substitute);
  const value = walk.read(document.contents, [], 0);
  const spotOf = (path: Path): Spot | undefined => {
    for (let length = path.length; length >= 0; length -= 1) {
      const spot = walk.spots.get(JSON.stringify(path.slice(0, length)));
      if (spot !== undefined) return spot;
    }
    return undefined;
  };
  return {
    value,
    findings: walk.findings,
    offsetOf: (path) => spotOf(path)?.value ?? 0,
    keyOffsetOf: (path) => spotOf(path)?.key ?? 0,
    isSubstituted: (path) => walk.spots.get(JSON.stringify(path))?.substituted ?? false,
  };
}

class Walk {
  readonly spots = new Map<string, Spot>();
  readonly findings: Finding[] = [];
  readonly #substitute: (scalar: string) => Substitution;
  readonly #targets: ReadonlyMap<Alias, Node>;
  /** The nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(document: Document.Parsed, substitute: (scalar: string) => Substitution) {
    this.#substitute = substitute;
    this.#targets = aliasTargets(document);
  }

  read(node: Node | null, path: Path, keyOffset: number): unknown {
    const offset = node?.range?.[0] ?? keyOffset;
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES || path.length > MAX_DEPTH) return this.#refuse(path, offset, "too large or too deep");
    this.#note(path, { key: keyOffset, value: offset, substituted: false });
    if (isAlias(node)) return this.#alias(node, path, keyOffset);
    if (isScalar(node)) return this.#scalar(node.value, path, keyOffset, offset);
    if (node === null || !(isMap(node) || isSeq(node))) return null;
    this.#open.add(node);
    const value = isMap(node) ? this.#map(node, path) : this.#list(node, path);
    this.#open.delete(node);
    return value;
  }

  #alias(node: Alias, path: Path, keyOffset: number): unknown {
    const offset = node.range?.[0] ?? keyOffset;
    const target = this.#targets.get(node);
    if (target === undefined) return this.#refuse(path, offset, "no anchor of this name stands above");
    if (this.#open.has(target)) return this.#refuse(path, offset, "an alias to the value that it stands in");
    return this.read(target, path, keyOffset);
  }

  #scalar(value: unknown, path: Path, key: number, offset: number): unknown {
    if (typeof value !== "string" || !value.includes("${")) return value;
    const result = this.#substitute(value);
    this.#note(path, { key, value: offset, substituted: true });
    if ("text" in result) {
      this.#note(path, { key, value: offset, substituted: result.substituted });
      return result.text;
    }
    for (const mistake of result.mistakes) this.findings.push({ path, offset, message: mistake });
    return UNKNOWN;
  }

  #list(node: YAMLSeq, path: Path): unknown[] {
    return node.items.map((item, index) => {
      const child = item as Node | null;
      const itemPath = [...path, index];
      return this.read(child, itemPath, child?.range?.[0] ?? node.range?.[0] ?? 0);
    });
  }

  #map(node: YAMLMap, path: Path): Record<string, unknown> {
    // Without a prototype: `__proto__` is then a key like any other, and an unknown one.
    const out: Record<string, unknown> = Object.create(null);
    for (const pair of node.items) {
      const key = pair.key as Node;
      const keyOffset = key.range?.[0] ?? 0;
      if (!isScalar(key) || typeof key.value !== "string") {
        this.findings.push({ path, offset: keyOffset, message: "a key must be a text" });
        continue;
      }
      const name = key.value;
      const memberPath = [...path, name];
      if (name === "<<") {
        this.findings.push({
          path,
          offset: keyOffset,
          message: "merge keys (<<) are not taken: write the members out",
        });
      } else if (Object.hasOwn(out, name)) {
        this.findings.push({
          path: memberPath,
          offset: keyOffset,
          message: `the key ${printable(name)} stands here twice`,
        });
      } else {
        out[name] = this.read((pair.value as Node | null) ?? null, memberPath, keyOffset);
      }
    }
    return out;
  }

  #note(path: Path, spot: Spot): void {
    this.spots.set(JSON.stringify(path), spot);
  }

  #refuse(path: Path, offset: number, message: string): typeof UNKNOWN {
    // One such finding says it: each further node of a bomb would add another.
    if (this.#nodes <= MAX_NODES + 1) this.findings.push({ path, offset, message });
    return UNKNOWN;
  }
}

/** Stands where a value could not be had and the mistake is already known: no check says anything about it. */
export const UNKNOWN: unique symbol = Symbol("unknown");

/** Each alias with the node that it stands for: the last one above it with that anchor (YAML 1.2.2 §7.1). */
function aliasTargets(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) {
        anchors.set(node.anchor, node);
      }
    },
  });
  return targets;
}
