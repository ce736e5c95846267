import type { DatabaseSync } from "node:sqlite";
import { Query } from "../query.ts";
import { VaultReader } from "../vault/vault-reader.ts";
import { VaultWriter } from "../vault/vault-writer.ts";
import type { Writer } from "../writer.ts";
import {
  type ActiveHold,
  type ClassMonth,
  holdMatcher,
  nextWindow,
  runningCalls,
  type SealedCall,
  sealedCalls,
} from "./month-calls.ts";
import { whilePurging } from "./retention-changes.ts";
import { keyOf } from "./survey.ts";

/** What one step puts under another key: some twenty milliseconds. */
const STEP_BYTES = 1024 * 1024;
const STEP_BLOCKS = 32;
/** The writer's thread does nothing else while it waits for a reader to let go of the WAL. */
const TRUNCATE_BUSY_MS = 50;

export type Begun = { readonly running: number } | { readonly keys: readonly number[] };

/** Where putting held calls under another key goes on: at this call, within it at this block. */
export interface ResealPosition {
  readonly call: number;
  readonly block: number;
}

/** A key that is destroyed, and whose blocks are not all deleted yet. */
export interface DestroyedKey extends ClassMonth {
  readonly key: number;
}

/**
 * The steps of a purge in the writer's thread; each is one short transaction, and leaves the vault whole whatever comes
 * next (retention-store.ts has their order).
 */
export class Purger {
  readonly #db: DatabaseSync;
  readonly #query: Query;
  readonly #writer: Writer;
  readonly #reader: VaultReader;
  readonly #resealed: VaultWriter;
  readonly #inMemory: boolean;

  constructor(db: DatabaseSync, writer: Writer, vaultKey: Uint8Array, inMemory: boolean) {
    this.#db = db;
    this.#query = new Query(db);
    this.#writer = writer;
    this.#reader = new VaultReader(this.#query, vaultKey);
    this.#resealed = new VaultWriter(db, vaultKey, "resealed");
    this.#inMemory = inMemory;
  }

  /**
   * Takes the class's and month's keys out of use: what comes from here on is sealed with another. Not while one of its calls
   * runs: then some of its payload would be under a key that goes, and the rest not.
   */
  begin(of: ClassMonth): Begun {
    this.#writer.settle();
    const running = runningCalls(this.#query, of);
    if (running > 0) return { running };
    const { retention, month } = of;
    this.#writer.change((db) => {
      db.prepare(
        `INSERT OR IGNORE INTO doomed (key, retention, month)
         SELECT key, retention, month FROM vault_keys WHERE retention = ? AND month = ?`,
      ).run(retention, month);
    });
    this.forget();
    return { keys: this.#doomedKeys(of) };
  }

  /** Deletes blocks that a purge had made and not come to use when it was interrupted. @returns whether there are more */
  unstage(): boolean {
    const blocks = this.#query.all<{ block: number }>("SELECT DISTINCT block FROM resealed LIMIT ?", STEP_BLOCKS);
    if (blocks.length === 0) return false;
    this.#change((db) => {
      const remove = db.prepare("DELETE FROM vault WHERE block = ?");
      const forget = db.prepare("DELETE FROM resealed WHERE block = ?");
      for (const { block } of blocks) {
        remove.run(block);
        forget.run(block);
      }
    });
    return true;
  }

  /**
   * Puts what holds keep of the month under another key, a part at a time; undefined: that was all. A call's payloads go
   * over in one transaction, however many steps it took to seal them.
   */
  reseal(of: ClassMonth, holds: readonly ActiveHold[], from: ResealPosition): ResealPosition | undefined {
    const window = nextWindow(this.#query, of, from.call);
    if (window === undefined) return undefined;
    const keys = new Set(this.#doomedKeys(of));
    const holdsOf = holdMatcher(this.#query, holds);
    const calls = [...sealedCalls(this.#query, of, window)].filter(
      (call) => keys.has(keyOf(call)) && holdsOf(call).length > 0,
    );
    let next: ResealPosition = { call: window.before, block: 0 };
    if (calls.length > 0) {
      this.#change(() => {
        const { done, rest } = this.#sealAgain(calls, of, from);
        this.#resealed.finish();
        this.#handOver(done);
        next = rest ?? next;
      });
    }
    return next;
  }

  /** Seals calls as far as a step goes: those that are done, and where to go on within one that is not. */
  #sealAgain(
    calls: readonly SealedCall[],
    of: ClassMonth,
    from: ResealPosition,
  ): { readonly done: readonly number[]; readonly rest: ResealPosition | undefined } {
    const done: number[] = [];
    let bytes = 0;
    for (const call of calls) {
      const blocks = call.pieces.filter(({ block }) => call.key !== from.call || block >= from.block);
      const size = blocks.flatMap(({ sizes }) => sizes).reduce((sum, one) => sum + one.bytes, 0);
      // One that needs several steps shares no block with another: what is undone of it is undone alone.
      if (done.length > 0 && bytes + size > STEP_BYTES) return { done, rest: { call: call.key, block: 0 } };
      for (const { block } of blocks) {
        if (bytes >= STEP_BYTES) return { done, rest: { call: call.key, block } };
        for (const piece of this.#reader.piecesIn(block, call.key)) {
          this.#resealed.add({ ...piece, ...of }, piece.bytes, piece.salt);
          bytes += piece.bytes.length;
        }
      }
      done.push(call.key);
    }
    return { done, rest: undefined };
  }

  /** From here on readers find these calls in their new blocks. */
  #handOver(calls: readonly number[]): void {
    const leave = this.#db.prepare("DELETE FROM pieces WHERE call = ?");
    const enter = this.#db.prepare("INSERT INTO pieces SELECT call, block, sizes FROM resealed WHERE call = ?");
    const unstage = this.#db.prepare("DELETE FROM resealed WHERE call = ?");
    for (const call of calls) for (const statement of [leave, enter, unstage]) statement.run(call);
  }

  /** Keys that a purge has destroyed, and that are not done with. */
  destroyed(): DestroyedKey[] {
    return this.#query.all<DestroyedKey>(
      "SELECT key, retention, month FROM doomed WHERE key NOT IN (SELECT key FROM vault_keys) ORDER BY key",
    );
  }

  /** The WAL holds the page as it was with the key on it. @returns false when a reader holds on to the WAL now */
  truncateWal(): boolean {
    if (this.#inMemory) return true;
    const { timeout } = this.#db.prepare("PRAGMA busy_timeout").get() as { timeout: number };
    this.#db.exec(`PRAGMA busy_timeout = ${TRUNCATE_BUSY_MS}`);
    try {
      return this.#writer.truncateWal();
    } finally {
      this.#db.exec(`PRAGMA busy_timeout = ${timeout}`);
    }
  }

  /** Deletes what stands in `pieces` of a destroyed key's blocks, from a record on. @returns where to go on */
  cleanPieces(of: DestroyedKey, from: number): number | undefined {
    const window = nextWindow(this.#query, of, from);
    if (window === undefined) return undefined;
    this.#change((db) =>
      db
        .prepare(
          `DELETE FROM pieces WHERE call >= ? AND call < ?
           AND (SELECT vault.key FROM vault WHERE vault.block = pieces.block) = ?`,
        )
        .run(window.from, window.before, of.key),
    );
    return window.before;
  }

  /** Deletes some of a destroyed key's blocks, and at last the note of it. @returns whether there are more */
  cleanBlocks({ key }: DestroyedKey): boolean {
    return this.#change((db) => {
      const { changes } = db
        .prepare("DELETE FROM vault WHERE block IN (SELECT block FROM vault WHERE key = ? LIMIT ?)")
        .run(key, STEP_BLOCKS);
      if (changes > 0) return true;
      db.prepare("DELETE FROM doomed WHERE key = ?").run(key);
      return false;
    });
  }

  /** Keys were taken out of use, or destroyed. */
  forget(): void {
    this.#writer.forgetKeys();
    this.#resealed.keys.forget();
    this.#reader.forget();
  }

  #doomedKeys({ retention, month }: ClassMonth): number[] {
    return this.#query
      .all<{ key: number }>(
        `SELECT key FROM vault_keys WHERE retention = ? AND month = ? AND key IN (SELECT key FROM doomed) ORDER BY key`,
        retention,
        month,
      )
      .map(({ key }) => key);
  }

  /** Not waited for: the record's own transaction makes durable what came before it, and the rest is done again. */
  #change<T>(work: (db: DatabaseSync) => T): T {
    try {
      return this.#writer.change((db) => whilePurging(db, () => work(db)), false);
    } catch (error) {
      this.#resealed.undo();
      throw error;
    }
  }
}
