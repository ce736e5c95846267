import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** Prepared once, then run again: the statements of one connection. */
export class Query {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#prepared(sql).get(...values) as T | undefined;
  }

  all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#prepared(sql).all(...values) as T[];
  }

  iterate<T>(sql: string, ...values: SQLInputValue[]): Iterable<T> {
    return this.#prepared(sql).iterate(...values) as Iterable<T>;
  }

  /**
   * What is deleted or moved is zeroed where it stood (secure_delete). Not always so: it is a twentieth of a call's cost, and
   * what stands in most tables is nobody's secret.
   */
  deletingSecurely<T>(work: () => T): T {
    this.#db.exec("PRAGMA secure_delete = ON");
    try {
      return work();
    } finally {
      this.#db.exec("PRAGMA secure_delete = OFF");
    }
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
