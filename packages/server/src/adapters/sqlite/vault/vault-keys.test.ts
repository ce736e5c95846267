import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Query } from "../query.ts";
import { migrate } from "../schema.ts";
import { type VaultKey, VaultKeys } from "./vault-keys.ts";

const VAULT_KEY = Buffer.alloc(32, "the vault's key");
const MONTH = 12 * 2026 + 10;

let db: DatabaseSync;
beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db);
});
afterEach(() => db.close());

const keys = (vaultKey: Uint8Array = VAULT_KEY): VaultKeys => new VaultKeys(new Query(db), vaultKey);
const secret = (key: VaultKey | undefined): string | undefined => key?.key.export().toString("hex");
const unguarded = (sql: string): void => {
  db.exec(`DROP TRIGGER vault_keys_keep_update; ${sql}`);
};

test("each class and month has a key of its own, and keeps it", () => {
  const made = keys();
  const all = [made.current(0, MONTH), made.current(1, MONTH), made.current(0, MONTH + 1)];
  expect(new Set(all.map(secret)).size).toBe(3);
  const again = keys();
  again.check();
  const found = [again.current(0, MONTH), again.current(1, MONTH), again.current(0, MONTH + 1)];
  expect(found.map(secret)).toEqual(all.map(secret));
  for (const key of all) expect(secret(keys().byNumber(key.number))).toBe(secret(key));
  expect(keys().byNumber(99)).toBeUndefined();
});

test("another vault key opens none of them, and says so", () => {
  const { number } = keys().current(0, MONTH);
  const other = keys(Buffer.alloc(32, "another key"));
  for (const look of [() => other.check(), () => other.byNumber(number), () => other.current(0, MONTH)])
    expect(look).toThrow(expect.objectContaining({ code: "HOOPISH_VAULT_KEY" }));
  expect(db.prepare("SELECT count(*) AS keys FROM vault_keys").get()).toEqual({ keys: 1 });
});

test.each([
  [
    "swapped between months",
    "CREATE TABLE v AS SELECT * FROM vault_keys; UPDATE vault_keys SET wrapped = (SELECT wrapped FROM v WHERE v.key = 3 - vault_keys.key)",
  ],
  ["said to be of another month", "UPDATE vault_keys SET month = month + 1"],
  ["said to be of another class", "UPDATE vault_keys SET retention = 1 - retention"],
  ["cut", "UPDATE vault_keys SET wrapped = substr(wrapped, 1, 59)"],
  ["edited", "UPDATE vault_keys SET wrapped = zeroblob(60)"],
])("a key that was %s does not open", (_, sql) => {
  keys().current(0, MONTH);
  keys().current(0, MONTH + 1);
  unguarded(sql);
  for (const number of [1, 2])
    expect(() => keys().byNumber(number)).toThrow(expect.objectContaining({ code: "HOOPISH_VAULT_KEY" }));
});

test("what was remembered is let go after a rollback", () => {
  const held = keys();
  db.exec("BEGIN");
  held.current(0, MONTH);
  db.exec("ROLLBACK");
  held.forget();
  db.exec("BEGIN");
  const made = held.current(0, MONTH);
  db.exec("COMMIT");
  expect(secret(keys().byNumber(made.number))).toBe(secret(made));
});
