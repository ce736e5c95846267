import type { DatabaseSync } from "node:sqlite";
import type { HoldFilters, HoldId } from "@hoopish/protocol";
import { Query } from "../query.ts";

/** What the writer carries out in one transaction with the record that tells of it. */
export type RetentionChange =
  | {
      readonly kind: "hold.place";
      readonly id: HoldId;
      readonly atMs: number;
      readonly by: string;
      readonly reason: string;
      readonly filters: HoldFilters;
    }
  | {
      readonly kind: "hold.release";
      readonly id: HoldId;
      readonly atMs: number;
      readonly by: string;
      readonly reason: string;
    }
  /** With its keys, everything that is in their blocks is gone. */
  | { readonly kind: "keys.destroy"; readonly keys: readonly number[] };

const KINDS: ReadonlySet<string> = new Set<RetentionChange["kind"]>(["hold.place", "hold.release", "keys.destroy"]);

export const isRetentionChange = (change: { readonly kind: string }): change is RetentionChange =>
  KINDS.has(change.kind);

/** Rare: nothing is prepared ahead. @throws Error when it does not fit what is there; nothing of the batch is kept then */
export function applyRetentionChange(db: DatabaseSync, change: RetentionChange): void {
  switch (change.kind) {
    case "hold.place":
      db.prepare("INSERT INTO holds (id, placed_at, placed_by, reason, filters) VALUES (?, ?, ?, ?, ?)").run(
        change.id,
        change.atMs,
        change.by,
        change.reason,
        JSON.stringify(change.filters),
      );
      return;
    case "hold.release": {
      const released = db
        .prepare(
          `UPDATE holds SET released_at = ?, released_by = ?, released_reason = ? WHERE id = ? AND released_at IS NULL`,
        )
        .run(change.atMs, change.by, change.reason, change.id);
      if (released.changes !== 1) throw new Error("the hold is released already");
      return;
    }
    case "keys.destroy":
      destroyKeys(db, change.keys);
  }
}

function destroyKeys(db: DatabaseSync, keys: readonly number[]): void {
  const query = new Query(db);
  const remove = db.prepare("DELETE FROM vault_keys WHERE key = ? AND key IN (SELECT key FROM doomed)");
  query.deletingSecurely(() =>
    whilePurging(db, () => {
      for (const key of keys) if (remove.run(key).changes !== 1) throw new Error(`key ${key} is no key of this purge`);
    }),
  );
}

/** Lets the triggers pass what a purge deletes. Inside a transaction. */
export function whilePurging<T>(db: DatabaseSync, work: () => T): T {
  db.exec("INSERT INTO state (name, value) VALUES ('purging', 1)");
  const result = work();
  db.exec("DELETE FROM state WHERE name = 'purging'");
  return result;
}
