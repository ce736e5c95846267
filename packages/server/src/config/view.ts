import { valueAt } from "./explain.ts";
import { type Path, printable } from "./mistake.ts";
import type { Tree } from "./tree.ts";

/**
 * A tolerant look at the tree, for checks that must go on where the schema has found something else wrong: what is not
 * of the asked type counts as not known, and nothing is said about it twice.
 */
export class View {
  readonly #tree: Tree;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  has(path: Path): boolean {
    return valueAt(this.#tree.value, path) !== undefined;
  }

  text(path: Path): string | undefined {
    const value = valueAt(this.#tree.value, path);
    return typeof value === "string" ? value : undefined;
  }

  flag(path: Path): boolean {
    const value = valueAt(this.#tree.value, path);
    return value === true || value === "true";
  }

  /** Paths of a list's items; none where there is no list. */
  items(path: Path): Path[] {
    const value = valueAt(this.#tree.value, path);
    return Array.isArray(value) ? value.map((_, index) => [...path, index]) : [];
  }

  /** Whether there is no such list, or nothing in it. False for what is no list. */
  isEmptyList(path: Path): boolean {
    const value = valueAt(this.#tree.value, path);
    return value === undefined || (Array.isArray(value) && value.length === 0);
  }

  /** Whether what stands here was written here, and did not come from the environment or a file. */
  isShowable(path: Path): boolean {
    return !this.#tree.isSubstituted(path);
  }

  /** The text in quotes; without it when it may not be shown. */
  quoted(path: Path): string {
    const value = this.text(path);
    return value === undefined || !this.isShowable(path) ? "(from outside)" : printable(value);
  }

  keyOffset(path: Path): number {
    return this.#tree.keyOffsetOf(path);
  }
}
