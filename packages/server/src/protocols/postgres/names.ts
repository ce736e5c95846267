/** Names of one connection, at most. */
const MAX_NAMES = 10_000;
/** Texts that one name may stand for, as far as is known here. */
const MAX_TEXTS = 8;

/**
 * What the names of prepared statements and portals stand for on one connection. Where it is not certain which of several
 * texts a name stands for, it stands for all of them: a call by that name is judged by the worst.
 */
export class Names {
  readonly #statements = new Map<string, string[]>();
  readonly #portals = new Map<string, readonly string[]>();

  /** The texts of a statement; undefined: nobody knows it here. */
  statement(name: string): readonly string[] | undefined {
    return this.#statements.get(name);
  }

  portal(name: string): readonly string[] | undefined {
    return this.#portals.get(name);
  }

  /** A text that the name may stand for from now on. @returns false when there are too many */
  mayBecome(name: string, sql: string): boolean {
    const known = this.#statements.get(name);
    if (known === undefined) {
      if (this.#statements.size >= MAX_NAMES) return false;
      this.#statements.set(name, [sql]);
      return true;
    }
    if (known.includes(sql)) return true;
    if (known.length >= MAX_TEXTS) return false;
    known.push(sql);
    return true;
  }

  /** The database has said that the name stands for this text. */
  became(name: string, sql: string): void {
    this.#statements.set(name, [sql]);
  }

  /** The database could not make of the unnamed statement what it was told, and has none now. */
  unnamedFailed(): void {
    this.#statements.delete("");
  }

  /** Texts that the portal may stand for from now on, beside those that it stood for. @returns false when there are too many */
  mayBind(portal: string, texts: readonly string[]): boolean {
    const known = this.#portals.get(portal) ?? [];
    const all = [...new Set([...known, ...texts])];
    if (all.length > 2 * MAX_TEXTS || (!this.#portals.has(portal) && this.#portals.size >= MAX_NAMES)) return false;
    this.#portals.set(portal, all);
    return true;
  }

  /** The database has said that the portal is there. */
  bound(portal: string, texts: readonly string[]): void {
    this.#portals.set(portal, texts);
  }

  closed(what: "S" | "P", name: string): void {
    if (what === "S") this.#statements.delete(name);
    else this.#portals.delete(name);
  }

  /** Portals live as long as their transaction. */
  transactionEnded(): void {
    this.#portals.clear();
  }
}
