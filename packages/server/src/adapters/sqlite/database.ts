import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createPrivate, takeLock } from "./lock.ts";
import { migrate } from "./schema.ts";
import type { Role } from "./shared.ts";

/** What the store seals with; crosses to its threads, and nowhere else. */
export interface StoreKeys {
  /** 32 bytes: wraps the keys of the vault's months, and the intake's. */
  readonly vault: Uint8Array;
  readonly log: LogKeys;
}

/** What checkpoints are signed with. */
export interface LogKeys {
  /** The log's name: C2SP tlog-checkpoint's origin, and the name of its key. */
  readonly origin: string;
  /** Ed25519, PKCS#8 PEM. */
  readonly privateKey: string;
  /** Verifier keys with which the log was signed before this one. */
  readonly previous?: readonly string[];
}

/** How a worker is to open the database; the worker's `workerData`. */
export interface DatabaseOptions {
  readonly role: Role;
  readonly keys: StoreKeys;
  /** The writer signs from the start; otherwise from `signer.begin` on. */
  readonly signing?: boolean;
  /** A file, or `:memory:`. */
  readonly path: string;
  /** Pages that the file may have, at most; for tests of a full disk. */
  readonly maxPages?: number | undefined;
}

/** A backup or an administrator's shell may hold a lock for a moment. */
const BUSY_MS = 1_000;

/**
 * page_size: of 4, 8, 16 and 32 KiB, 8 gave the fewest microseconds a call without slowing large payloads.
 * synchronous = FULL: a commit waits for the disk. wal_autocheckpoint = 0: the writer does it between commits, when
 * whoever waited has been answered. recursive_triggers: INSERT OR REPLACE deletes, and is refused as a delete.
 */
const WRITER_PRAGMAS = `
  PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
  PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -4096; PRAGMA recursive_triggers = ON;`;

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
    const db = new DatabaseSync(path, { timeout: BUSY_MS });
    db.exec(WRITER_PRAGMAS);
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
  const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS });
  db.exec("PRAGMA cache_size = -4096");
  return { db, close: () => db.close() };
}

/** A second connection that can write, and only ever moves what is committed from the WAL into the file. */
export function openCheckpointer({ path }: DatabaseOptions): OpenDatabase {
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  db.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -256");
  return { db, close: () => db.close() };
}
