import type { DatabaseSync } from "node:sqlite";
import type {
  AgentId,
  CallId,
  CallStory,
  HoldId,
  HoldView,
  PayloadField,
  SessionId,
  SessionView,
} from "@hoopish/protocol";
import type { EnrolledAgent } from "../../agents/port.ts";
import type {
  CallFilter,
  FoundRecord,
  Page,
  RecordedCall,
  RecordFilter,
  SignedCheckpoint,
  WantedFields,
} from "../../evidence/port.ts";
import type { LeftOpen } from "../../evidence/recovery.ts";
import { type PackedPayloads, type PackedRecords, packedPayloads, packedRecords } from "./bundle-queries.ts";
import { callStory, findSession, listCalls, listPastSessions } from "./call-queries.ts";
import type { StoreKeys } from "./database.ts";
import { type ExportBatch, type ExportPosition, type ExportRange, exportBatch } from "./export-queries.ts";
import { idBytes } from "./keys.ts";
import { type PayloadBytes, readPayload } from "./payload-queries.ts";
import { refusePurged } from "./payload-states.ts";
import { Query } from "./query.ts";
import { activeHolds, findHold, listHolds } from "./retention/holds.ts";
import type { ActiveHold, ClassMonth } from "./retention/month-calls.ts";
import {
  type CountPart,
  countPart,
  type GrowingTree,
  keptMonths,
  type SurveyPart,
  surveyPart,
} from "./retention/survey.ts";
import { searchRecords } from "./search/record-search.ts";
import { type CheckpointRow, fromRow } from "./tree/checkpoint-writer.ts";
import { signedBefore } from "./tree/signed-before.ts";
import { TreeReader } from "./tree/tree-reader.ts";
import { type PayloadPosition, VaultReader } from "./vault/vault-reader.ts";

const CHECKPOINTS_AT_ONCE = 4_096;

/** Every question that the store answers; each is one short read, so that none holds up the WAL's checkpoint. */
export class Reader {
  readonly #db: DatabaseSync;
  readonly #query: Query;
  readonly #tree: TreeReader;
  readonly #vault: VaultReader;

  constructor(db: DatabaseSync, keys: StoreKeys) {
    this.#db = db;
    this.#query = new Query(db);
    this.#tree = new TreeReader(this.#query);
    this.#vault = new VaultReader(this.#query, keys.vault);
  }

  calls(filter: CallFilter, limit: number, cursor: string | undefined): Page<RecordedCall> {
    return listCalls(this.#query, filter, limit, cursor);
  }

  call(id: CallId): CallStory | undefined {
    return this.#ofOneState(() => callStory(this.#query, this.#vault, id));
  }

  search(filter: RecordFilter, limit: number, cursor: string | undefined): Page<FoundRecord> {
    return searchRecords(this.#query, filter, limit, cursor);
  }

  /** @throws Error with code HOOPISH_PURGED when the payload was destroyed */
  payloadPart(id: CallId, field: PayloadField, from: PayloadPosition): PayloadBytes {
    return this.#ofOneState(() => {
      const call = this.#query.get<{ key: number }>("SELECT key FROM calls WHERE id = ?", idBytes(id));
      if (call === undefined) return { pieces: [], next: undefined };
      const part = readPayload(this.#vault, call.key, field, from);
      if (part.pieces.length === 0 && from.offset === 0) refusePurged(this.#query, call.key);
      return part;
    });
  }

  pastSessions(
    bootIndex: number,
    user: string | undefined,
    limit: number,
    cursor: string | undefined,
  ): Page<SessionView> {
    return listPastSessions(this.#query, bootIndex, user, limit, cursor);
  }

  session(id: SessionId): SessionView | undefined {
    return findSession(this.#query, id);
  }

  packedRecords(from: number, to: number): PackedRecords {
    return packedRecords(this.#query, from, to);
  }

  packedPayloads(wanted: readonly WantedFields[]): PackedPayloads {
    return this.#ofOneState(() => packedPayloads(this.#query, this.#vault, wanted));
  }

  signedBefore(timeMs: number): SignedCheckpoint | undefined {
    const row = signedBefore(this.#query, timeMs);
    return row === undefined ? undefined : fromRow(row);
  }

  /** Some of those of sizes in [from, to], growing; none: there are no more. */
  checkpoints(from: number, to: number): SignedCheckpoint[] {
    return this.#query
      .all<CheckpointRow>(
        "SELECT size, time, root, note FROM checkpoints WHERE size BETWEEN ? AND ? ORDER BY size LIMIT ?",
        from,
        to,
        CHECKPOINTS_AT_ONCE,
      )
      .map(fromRow);
  }

  exportBatch(range: ExportRange, from: ExportPosition | undefined): ExportBatch {
    return this.#ofOneState(() => exportBatch(this.#query, this.#vault, range, from));
  }

  holds(which: "active" | "all"): HoldView[] {
    return listHolds(this.#query, which);
  }

  hold(id: HoldId): HoldView | undefined {
    return findHold(this.#query, id);
  }

  activeHolds(): ActiveHold[] {
    return activeHolds(this.#query);
  }

  keptMonths(): ClassMonth[] {
    return keptMonths(this.#query);
  }

  surveyPart(of: ClassMonth, holds: readonly ActiveHold[], from: number): SurveyPart {
    return this.#ofOneState(() => surveyPart(this.#query, of, holds, from));
  }

  countPart(of: ClassMonth, keys: readonly number[], from: number, tree: GrowingTree): CountPart {
    return countPart(this.#query, of, keys, from, tree);
  }

  /** Keys were destroyed. */
  forget(): void {
    this.#vault.forget();
  }

  root(size: number): Uint8Array {
    return new Uint8Array(this.#tree.root(size));
  }

  inclusion(index: number, size: number): Uint8Array[] {
    return this.#tree.inclusion(index, size).map((hash) => new Uint8Array(hash));
  }

  consistency(size1: number, size2: number): Uint8Array[] {
    return this.#tree.consistency(size1, size2).map((hash) => new Uint8Array(hash));
  }

  edge(size: number): Uint8Array[] {
    return this.#tree.edge(size).map((hash) => new Uint8Array(hash));
  }

  agents(): EnrolledAgent[] {
    const rows = this.#query.all<{
      id: string;
      name: string;
      public_key: string;
      enrolled_at: number;
      revoked_at: number | null;
    }>("SELECT id, name, public_key, enrolled_at, revoked_at FROM agents ORDER BY id");
    return rows.map((row) => ({
      id: row.id as AgentId,
      name: row.name,
      publicKey: row.public_key,
      enrolledAtMs: row.enrolled_at,
      revokedAtMs: row.revoked_at ?? undefined,
    }));
  }

  tokenGood(sha256: string, name: string, nowMs: number): boolean {
    const found = this.#query.get(
      "SELECT 1 FROM tokens WHERE sha256 = ? AND name = ? AND expires_at > ? AND used_by IS NULL",
      sha256,
      name,
      nowMs,
    );
    return found !== undefined;
  }

  /** Records in the log. */
  size(): number {
    return this.#tree.size();
  }

  /** Calls and sessions that no record ended. */
  leftOpen(): LeftOpen {
    const calls = this.#query.all<{ key: number; leaf: Uint8Array }>(
      "SELECT key, leaf FROM calls JOIN records ON idx = key WHERE ended IS NULL ORDER BY key",
    );
    const sessions = this.#query.all<{ leaf: Uint8Array; calls: number }>(
      `SELECT leaf, (SELECT count(*) FROM calls WHERE calls.session = sessions.id) AS calls
       FROM sessions JOIN records ON idx = key WHERE closed IS NULL ORDER BY key`,
    );
    return {
      calls: calls.map(({ key, leaf }) => ({ leaf: Buffer.from(leaf).toString(), delivered: this.#delivered(key) })),
      sessions: sessions.map(({ leaf, calls: count }) => ({ leaf: Buffer.from(leaf).toString(), calls: count })),
    };
  }

  /** What is read is of one state of the database, however many statements it takes. */
  #ofOneState<T>(read: () => T): T {
    this.#db.exec("BEGIN");
    try {
      return read();
    } finally {
      this.#db.exec("COMMIT");
    }
  }

  #delivered(callKey: number): number {
    return this.#vault.payloadsOf(callKey).find(({ field }) => field === "delivered")?.length ?? 0;
  }
}
