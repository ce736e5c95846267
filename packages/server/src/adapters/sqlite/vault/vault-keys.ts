import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Query } from "../query.ts";

/**
 * A key for each retention class and month, random, wrapped by the vault's key (AES-256-GCM, the class and month as
 * additional data). To destroy a month's payloads is to delete its key; blocks that somebody copied before stay shut.
 * A month that was purged gets another key for what holds keep of it, and for what comes late.
 */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface VaultKey {
  /** Its number in the database. */
  readonly number: number;
  readonly key: KeyObject;
}

interface KeyRow {
  readonly key: number;
  readonly retention: number;
  readonly month: number;
  readonly wrapped: Uint8Array;
}

const COLUMNS = "SELECT key, retention, month, wrapped FROM vault_keys";

/** The keys of one connection to the database. */
export class VaultKeys {
  readonly #query: Query;
  readonly #vaultKey: Uint8Array;
  readonly #byMonth = new Map<number, VaultKey>();
  readonly #byNumber = new Map<number, VaultKey>();

  constructor(query: Query, vaultKey: Uint8Array) {
    this.#query = query;
    this.#vaultKey = vaultKey;
  }

  /**
   * Whether the vault's key is the one with which this database's keys were wrapped.
   * @throws Error with code HOOPISH_VAULT_KEY when it is another
   */
  check(): void {
    const row = this.#query.get<KeyRow>(`${COLUMNS} ORDER BY key DESC LIMIT 1`);
    if (row !== undefined) this.#unwrapped(row);
  }

  /**
   * The key for new payloads of a class and month; made when it is not there, or when a purge takes the one that is. Inside
   * a transaction.
   */
  current(retention: number, month: number): VaultKey {
    const label = month * 8 + retention;
    const known = this.#byMonth.get(label);
    if (known !== undefined) return known;
    const key = this.#find(retention, month) ?? this.#make(retention, month);
    this.#byMonth.set(label, key);
    return key;
  }

  /** Undefined: destroyed. Asked of the database each time: a key that is remembered may be gone. */
  byNumber(number: number): VaultKey | undefined {
    const row = this.#query.get<KeyRow>(`${COLUMNS} WHERE key = ?`, number);
    if (row === undefined) {
      this.#byNumber.delete(number);
      return undefined;
    }
    const known = this.#byNumber.get(number);
    if (known !== undefined) return known;
    const key = { number, key: this.#unwrapped(row) };
    this.#byNumber.set(number, key);
    return key;
  }

  /** After a rollback, or when keys were destroyed: what is remembered may not be there. */
  forget(): void {
    this.#byMonth.clear();
    this.#byNumber.clear();
  }

  #find(retention: number, month: number): VaultKey | undefined {
    const row = this.#query.get<KeyRow>(
      `${COLUMNS} WHERE retention = ? AND month = ? AND key NOT IN (SELECT key FROM doomed) ORDER BY key DESC LIMIT 1`,
      retention,
      month,
    );
    return row === undefined ? undefined : { number: row.key, key: this.#unwrapped(row) };
  }

  #make(retention: number, month: number): VaultKey {
    const bytes = randomBytes(32);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#vaultKey, nonce);
    cipher.setAAD(label(retention, month));
    const text = Buffer.concat([cipher.update(bytes), cipher.final()]);
    const wrapped = Buffer.concat([nonce, text, cipher.getAuthTag()]);
    // A new row may move others to another page: no copy of a key may stay where it was, in a page's gap.
    const made = this.#query.deletingSecurely(() =>
      this.#query.get<{ key: number }>(
        "INSERT INTO vault_keys (retention, month, wrapped) VALUES (?, ?, ?) RETURNING key",
        retention,
        month,
        wrapped,
      ),
    );
    return { number: made?.key as number, key: createSecretKey(bytes) };
  }

  #unwrapped({ retention, month, wrapped }: KeyRow): KeyObject {
    const bytes = Buffer.from(wrapped);
    const decipher = createDecipheriv("aes-256-gcm", this.#vaultKey, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(label(retention, month));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    const text = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES));
    try {
      return createSecretKey(Buffer.concat([text, decipher.final()]));
    } catch (cause) {
      throw Object.assign(new Error("the vault's key is not the one with which this store was written", { cause }), {
        code: "HOOPISH_VAULT_KEY",
      });
    }
  }
}

const label = (retention: number, month: number): Buffer => Buffer.from(`hoopish vault ${retention} ${month}`);
