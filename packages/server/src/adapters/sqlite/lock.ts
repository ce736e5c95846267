import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * Exactly one server may have a store open. The lock is an exclusive transaction on a database of its own beside the
 * store: SQLite's lock is the operating system's, so it goes when the process goes, however it goes, and readers of the
 * store are not kept out by it.
 *
 * @throws Error with code HOOPISH_LOCKED when another server has it
 */
export function takeLock(storePath: string): DatabaseSync {
  const path = `${storePath}-lock`;
  createPrivate(path);
  const lock = new DatabaseSync(path);
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
    return lock;
  } catch (cause) {
    lock.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw Object.assign(new Error("another hoopish-server uses this store", { cause }), { code: "HOOPISH_LOCKED" });
  }
}

const SQLITE_BUSY = 5;

/** SQLite gives its side files the mode of the database, so only these two are made by hand. */
export function createPrivate(path: string): void {
  // Never opened when it exists: closing any descriptor of a file drops all POSIX locks that this process has on it.
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
}
