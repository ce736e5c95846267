import type { DatabaseSync, StatementSync } from "node:sqlite";

const REMEMBERED = 10_000;

/**
 * Calls of one user to one connection with one verdict are a series, and so are other records of one type: one small
 * number in one index answers every filter over the three, because a filter picks some of the series.
 */
export class Series {
  readonly #known = new Map<string, number>();
  readonly #insertName: StatementSync;
  readonly #selectName: StatementSync;
  readonly #insertCalls: StatementSync;
  readonly #selectCalls: StatementSync;
  readonly #insertEvents: StatementSync;
  readonly #selectEvents: StatementSync;

  constructor(db: DatabaseSync) {
    this.#insertName = db.prepare("INSERT OR IGNORE INTO names (name) VALUES (?)");
    this.#selectName = db.prepare("SELECT key FROM names WHERE name = ?");
    this.#insertCalls = db.prepare("INSERT OR IGNORE INTO series (user, connection, verdict) VALUES (?, ?, ?)");
    this.#selectCalls = db.prepare("SELECT key FROM series WHERE user = ? AND connection = ? AND verdict = ?");
    this.#insertEvents = db.prepare("INSERT OR IGNORE INTO event_series (user, connection, type) VALUES (?, ?, ?)");
    this.#selectEvents = db.prepare("SELECT key FROM event_series WHERE user = ? AND connection = ? AND type = ?");
  }

  ofCalls(user: string, connection: string, verdict: number): number {
    return this.#key("c", this.#insertCalls, this.#selectCalls, user, connection, verdict);
  }

  ofEvents(type: number, user: string, connection: string): number {
    return this.#key("e", this.#insertEvents, this.#selectEvents, user, connection, type);
  }

  name(name: string): number {
    return this.#remembered(`n${name}`, () => {
      this.#insertName.run(name);
      return (this.#selectName.get(name) as { key: number }).key;
    });
  }

  /** After a transaction was rolled back: keys that it gave are not true. */
  forget(): void {
    this.#known.clear();
  }

  #key(
    kind: "c" | "e",
    insert: StatementSync,
    select: StatementSync,
    user: string,
    connection: string,
    number: number,
  ): number {
    return this.#remembered(`${kind}${number}.${user.length}.${user}${connection}`, () => {
      const of = [this.name(user), this.name(connection), number] as const;
      insert.run(...of);
      return (select.get(...of) as { key: number }).key;
    });
  }

  #remembered(label: string, find: () => number): number {
    const known = this.#known.get(label);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const key = find();
    this.#known.set(label, key);
    return key;
  }
}
