import type { DatabaseSync } from "node:sqlite";

/**
 * `records` is the log, `payloads` the vault (its key: keys.ts; one integer, so that a payload lies together and needs no
 * index of its own). names, series, calls, sessions, mentions and blocks are derived from the records up to
 * state.indexed, and can be built again from them. Ids stand as their 16 bytes; a call's or session's key is the index of
 * the record that began it.
 *
 * The triggers keep mistakes and other programs from changing the log; whoever owns the file can drop them, which is
 * what the signed tree is for. records_in_order also stops INSERT OR REPLACE, which deletes without asking a trigger.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE records (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
  CREATE TRIGGER records_keep_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;
  CREATE TRIGGER records_keep_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;

  CREATE TRIGGER records_in_order BEFORE INSERT ON records
    WHEN NEW.idx IS NOT (SELECT coalesce(max(idx) + 1, 0) FROM records)
    BEGIN SELECT RAISE(ABORT, 'records follow one another without a gap'); END;

  CREATE TABLE payloads (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL, salt BLOB) STRICT;
  CREATE TRIGGER payloads_keep_update BEFORE UPDATE ON payloads BEGIN SELECT RAISE(ABORT, 'payloads are never changed'); END;
  CREATE TRIGGER payloads_keep_delete BEFORE DELETE ON payloads BEGIN SELECT RAISE(ABORT, 'payloads are never deleted'); END;

  CREATE TABLE names (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE series (
    key INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    UNIQUE (user, connection, verdict)
  ) STRICT;
  CREATE TABLE calls (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    time INTEGER NOT NULL,
    series INTEGER NOT NULL,
    session BLOB NOT NULL,
    verdict INTEGER NOT NULL,
    ended INTEGER
  ) STRICT;
  CREATE INDEX calls_by_series ON calls (series);
  CREATE INDEX calls_by_session ON calls (session, verdict);
  CREATE INDEX calls_open ON calls (key) WHERE ended IS NULL;
  CREATE TABLE sessions (key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, user INTEGER NOT NULL, closed INTEGER) STRICT;
  CREATE INDEX sessions_by_user ON sessions (user);
  CREATE INDEX sessions_open ON sessions (key) WHERE closed IS NULL;
  CREATE TABLE mentions (call BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (call, idx)) STRICT, WITHOUT ROWID;
  CREATE TABLE blocks (block INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER NOT NULL) STRICT;

  CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    public_key TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    revoked_at INTEGER
  ) STRICT;
  CREATE TABLE tokens (
    sha256 TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO state (name, value) VALUES ('indexed', 0);
  CREATE TABLE probe (bytes BLOB NOT NULL) STRICT;
  `,
];

/** Brings the database to this program's schema. @throws Error when it is newer than this program */
export function migrate(db: DatabaseSync): void {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version > MIGRATIONS.length) {
    throw new Error(`the store has schema version ${version}; this program knows ${MIGRATIONS.length}`);
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[next]}; PRAGMA user_version = ${next + 1}; COMMIT;`);
  }
}
