import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { CallId, SessionId, StoredRecord } from "@hoopish/protocol";
import type { Batch, StoreChange } from "../../evidence/store.ts";
import type { AgentChange } from "./agent-store.ts";
import { idBytes, payloadKey, verdictNumber } from "./keys.ts";

/** Names and ids met lately, so that most rows need no look-up. */
const REMEMBERED = 4_096;

/** The one writer of the database. Runs in the store's worker. */
export class Writer {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #calls = new Map<CallId, number>();
  readonly #sessions = new Map<string, number>();
  readonly #names = new Map<string, number>();
  #next: number;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#next = (this.#sql("SELECT coalesce(max(idx) + 1, 0) AS next FROM records").get() as { next: number }).next;
  }

  commit(batch: Batch): void {
    const first = this.#next;
    this.#transaction(() => {
      let idx = first;
      for (const leaf of batch.leaves) this.#record(idx++, leaf);
      for (const row of batch.rows) {
        const bytes = row.bytes.length === 1 ? (row.bytes[0] as Uint8Array) : Buffer.concat(row.bytes);
        this.#sql("INSERT INTO payloads (key, bytes, salt) VALUES (?, ?, ?)").run(
          payloadKey(this.#callKey(row.call), row.field, row.seq),
          bytes,
          row.salt ?? null,
        );
      }
      for (const change of batch.changes) this.#change(change);
    });
    this.#next = first + batch.leaves.length;
  }

  probe(): void {
    this.#transaction(() => this.#sql("INSERT OR REPLACE INTO probe (id, at) VALUES (0, ?)").run(Date.now()));
  }

  #record(idx: number, leaf: string): void {
    this.#sql("INSERT INTO records (idx, leaf) VALUES (?, ?)").run(idx, Buffer.from(leaf));
    const record = JSON.parse(leaf) as StoredRecord;
    switch (record.type) {
      case "call.decided": {
        const call = record.call as CallId;
        this.#sql(
          "INSERT INTO calls (key, id, time, user, connection, verdict, session) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ).run(
          idx,
          idBytes(call),
          Date.parse(record.time),
          this.#name(record.actor?.name ?? ""),
          this.#name(record.connection),
          verdictNumber(record.verdict),
          this.#sessionKey(record.session),
        );
        remember(this.#calls, call, idx);
        return;
      }
      case "call.answered":
      case "call.interrupted":
        this.#sql("UPDATE calls SET ended = ? WHERE key = ?").run(idx, this.#callKey(record.call as CallId));
        return;
      case "session.open":
        this.#sql("INSERT INTO sessions (key, id, user) VALUES (?, ?, ?)").run(
          idx,
          idBytes(record.session as SessionId),
          this.#name(record.actor?.name ?? ""),
        );
        return;
      case "session.close":
        this.#sql("UPDATE sessions SET closed = ? WHERE key = ?").run(idx, this.#sessionKey(record.session));
        return;
      default:
        if (record.call === undefined) return;
        this.#sql("INSERT INTO mentions (call, idx) VALUES (?, ?)").run(idBytes(record.call), idx);
    }
  }

  #callKey(call: CallId): number {
    const known = this.#calls.get(call);
    if (known !== undefined) return known;
    const row = this.#sql("SELECT key FROM calls WHERE id = ?").get(idBytes(call)) as { key: number } | undefined;
    if (row === undefined) throw new Error(`no record decided ${call}`);
    remember(this.#calls, call, row.key);
    return row.key;
  }

  #sessionKey(session: SessionId | undefined): number {
    if (session === undefined) return -1;
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const row = this.#sql("SELECT key FROM sessions WHERE id = ?").get(idBytes(session)) as { key: number } | undefined;
    if (row === undefined) return -1;
    remember(this.#sessions, session, row.key);
    return row.key;
  }

  #name(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#sql("INSERT OR IGNORE INTO names (name) VALUES (?)").run(name);
    const { key } = this.#sql("SELECT key FROM names WHERE name = ?").get(name) as { key: number };
    remember(this.#names, name, key);
    return key;
  }

  #change(change: StoreChange): void {
    const wanted = change as AgentChange;
    switch (wanted.kind) {
      case "token.add":
        this.#sql("INSERT INTO tokens (sha256, name, expires_at) VALUES (?, ?, ?)").run(
          wanted.sha256,
          wanted.name,
          wanted.expiresAtMs,
        );
        return;
      case "agent.enroll": {
        const { agent } = wanted;
        const used = this.#sql("UPDATE tokens SET used_by = ? WHERE sha256 = ? AND used_by IS NULL");
        if (used.run(agent.id, wanted.sha256).changes !== 1) throw new Error("the enrolment token is used already");
        this.#sql("INSERT INTO agents (id, name, public_key, enrolled_at) VALUES (?, ?, ?, ?)").run(
          agent.id,
          agent.name,
          agent.publicKey,
          agent.enrolledAtMs,
        );
        return;
      }
      case "agent.revoke": {
        const revoked = this.#sql("UPDATE agents SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
        if (revoked.run(wanted.revokedAtMs, wanted.id).changes !== 1) throw new Error("the agent is revoked already");
        return;
      }
      default:
        throw new Error(`unknown change ${JSON.stringify(wanted satisfies never)}`);
    }
  }

  #transaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // What was remembered in the transaction is not true any more.
      this.#calls.clear();
      this.#sessions.clear();
      this.#names.clear();
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

function remember<K>(map: Map<K, number>, key: K, value: number): void {
  if (map.size >= REMEMBERED) map.delete(map.keys().next().value as K);
  map.set(key, value);
}
