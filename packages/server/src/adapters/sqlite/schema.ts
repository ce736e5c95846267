import type { DatabaseSync } from "node:sqlite";

/**
 * `records` is the log, `subtrees` what is kept of its tree (tree/log-tree.ts), `checkpoints` what was signed of it.
 * `vault` holds payloads in sealed blocks (vault/block.ts), `vault_keys` the wrapped keys to them, `pieces` which blocks
 * hold something of a call, and how much. names, series, calls, sessions, mentions, blocks and purges are derived from the
 * records up to state.indexed, and can be built again from them; so are event_series and events, which hold the records
 * that are no part of a call's ordinary course: names of who and what in small numbers, and where. `doomed` are keys that a
 * purge takes (retention/purger.ts), `resealed` the pieces of a held call on their way out of their blocks, `holds` what
 * keeps calls from a purge. state.intake is the newest batch of the intake that is in the database, state.serial its segment
 * that a start needs, state.seal a MAC over the log's end (seal.ts), and state.syncs changes with each wait for the disk. Ids
 * stand as their 16 bytes; a call's or session's key is the index of the record that began it.
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

  CREATE TABLE subtrees (level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
  CREATE TRIGGER subtrees_keep_update BEFORE UPDATE ON subtrees BEGIN SELECT RAISE(ABORT, 'the tree''s nodes are never changed'); END;
  CREATE TRIGGER subtrees_keep_delete BEFORE DELETE ON subtrees BEGIN SELECT RAISE(ABORT, 'the tree''s nodes are never deleted'); END;
  CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, time INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) STRICT;
  CREATE INDEX checkpoints_by_time ON checkpoints (time);
  CREATE TRIGGER checkpoints_keep_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END;
  CREATE TRIGGER checkpoints_keep_delete BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;

  CREATE TABLE vault_keys (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    retention INTEGER NOT NULL,
    month INTEGER NOT NULL,
    wrapped BLOB NOT NULL
  ) STRICT;
  CREATE INDEX vault_keys_by_month ON vault_keys (month, retention);
  CREATE TRIGGER vault_keys_keep_update BEFORE UPDATE ON vault_keys BEGIN SELECT RAISE(ABORT, 'keys are never changed'); END;
  CREATE TRIGGER vault_keys_keep_delete BEFORE DELETE ON vault_keys WHEN NOT EXISTS (SELECT 1 FROM state WHERE name = 'purging')
    BEGIN SELECT RAISE(ABORT, 'keys are deleted by a purge alone'); END;
  CREATE TABLE vault (block INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE INDEX vault_by_key ON vault (key);
  CREATE TRIGGER vault_keep_update BEFORE UPDATE ON vault BEGIN SELECT RAISE(ABORT, 'payloads are never changed'); END;
  CREATE TRIGGER vault_keep_delete BEFORE DELETE ON vault WHEN NOT EXISTS (SELECT 1 FROM state WHERE name = 'purging')
    BEGIN SELECT RAISE(ABORT, 'payloads are deleted by a purge alone'); END;
  CREATE TABLE pieces (call INTEGER, block INTEGER, sizes BLOB NOT NULL, PRIMARY KEY (call, block)) STRICT, WITHOUT ROWID;
  CREATE TRIGGER pieces_keep_update BEFORE UPDATE ON pieces BEGIN SELECT RAISE(ABORT, 'payloads are never changed'); END;
  CREATE TRIGGER pieces_keep_delete BEFORE DELETE ON pieces WHEN NOT EXISTS (SELECT 1 FROM state WHERE name = 'purging')
    BEGIN SELECT RAISE(ABORT, 'payloads are deleted by a purge alone'); END;

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
  CREATE TABLE state (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO state (name, value) VALUES ('indexed', 0), ('intake', 0), ('syncs', 0), ('serial', 0), ('seal', 0);
  CREATE TABLE probe (bytes BLOB NOT NULL) STRICT;
  `,
  // calls_late: of calls that ended long after they were decided, by records (REACH in ended-calls.ts): few.
  `
  CREATE TABLE event_series (
    key INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    user INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    UNIQUE (type, user, connection)
  ) STRICT;
  CREATE TABLE events (series INTEGER NOT NULL, idx INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (series, idx))
    STRICT, WITHOUT ROWID;
  CREATE INDEX calls_late ON calls (series, ended) WHERE ended > key + 4096;
  CREATE INDEX calls_late_by_session ON calls (session, ended) WHERE ended > key + 4096;
  UPDATE state SET value = 0 WHERE name = 'indexed';
  `,
  `
  CREATE TABLE purges (idx INTEGER PRIMARY KEY, retention INTEGER NOT NULL, month INTEGER NOT NULL) STRICT;
  CREATE INDEX purges_by_month ON purges (month, retention);
  CREATE TABLE doomed (key INTEGER PRIMARY KEY, retention INTEGER NOT NULL, month INTEGER NOT NULL) STRICT;
  CREATE TABLE resealed (call INTEGER, block INTEGER, sizes BLOB NOT NULL, PRIMARY KEY (call, block)) STRICT, WITHOUT ROWID;
  CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    placed_at INTEGER NOT NULL,
    placed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    filters TEXT NOT NULL,
    released_at INTEGER,
    released_by TEXT,
    released_reason TEXT
  ) STRICT;
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
