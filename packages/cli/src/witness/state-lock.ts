import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { HoopishError } from "@hoopish/protocol";

/** SQLITE_BUSY. */
const BUSY = 5;

/**
 * One process may have a state file: two would each cosign a history of their own. The lock is an exclusive transaction on
 * an empty SQLite database beside the file, because such a lock is the operating system's: it goes when the process goes,
 * however it goes, and cannot be left behind.
 * @returns what gives it back
 * @throws HoopishError conflict
 */
export function lockState(path: string): () => void {
  const file = `${path}-lock`;
  createPrivate(file);
  const lock = new DatabaseSync(file);
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
    return () => lock.close();
  } catch (cause) {
    lock.close();
    if ((cause as { errcode?: number }).errcode !== BUSY) throw cause;
    throw new HoopishError("conflict", `another hoopish witness uses ${path}`, { hint: "end that one first", cause });
  }
}

/** For its owner alone: who can read the file can hold its lock. */
function createPrivate(file: string): void {
  try {
    // Not opened when it exists: closing any descriptor of a file drops all POSIX locks that this process has on it.
    if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
  } catch (cause) {
    throw new HoopishError("configuration", `${file} cannot be made`, { hint: "name a folder of your own", cause });
  }
}
