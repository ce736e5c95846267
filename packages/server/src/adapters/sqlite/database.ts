import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createPrivate, takeLock } from "./lock.ts";
import { migrate } from "./schema.ts";

/** How a worker is to open the database; the worker's `workerData`. */
export interface DatabaseOptions {
  readonly role: "writer" | "reader";
  /** A file, or `:memory:`. */
  readonly path: string;
  /** Pages that the file may have, at most; for tests of a full disk. */
  readonly maxPages?: number | undefined;
}

export interface OpenDatabase {
  readonly db: DatabaseSync;
  close(): void;
}

export function openWriter({ path, maxPages }: DatabaseOptions): OpenDatabase {
  const inMemory = path === ":memory:";
  if (!inMemory) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lock = inMemory ? undefined : takeLock(path);
  try {
    if (!inMemory) createPrivate(path);
    const db = new DatabaseSync(path);
    db.exec(
      "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA recursive_triggers = ON;",
    );
    migrate(db);
    if (maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    return {
      db,
      close: () => {
        db.close();
        lock?.close();
      },
    };
  } catch (error) {
    lock?.close();
    throw error;
  }
}

export function openReader({ path }: DatabaseOptions): OpenDatabase {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  return { db, close: () => db.close() };
}
