import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { StatementSync } from "node:sqlite";
import type { Query } from "./query.ts";

/** What must not change but by the writer. */
export interface SealedFacts {
  /** Records in the log, and the root over them. */
  readonly size: number;
  readonly root: Uint8Array;
  /** The newest batch of the intake that is in the database. */
  readonly intake: number;
  /** The intake's newest segment; 0: nothing of the intake is needed. */
  readonly serial: number;
}

/**
 * A MAC, under a key derived from the vault's, over the end of the log, over who may serve as an agent and over what holds
 * keep, written in every transaction that changes them. Checkpoints are signed once a second and would be signed over whatever stands
 * behind the last one: without this, a record that somebody appended while the server was down would be signed with the
 * rest, and an agent that somebody enrolled with the sqlite shell would be given calls, and what a hold kept that somebody took away
 * would go.
 *
 * It does not show an old copy of the whole database, which was sealed too: anchors do.
 */
export class Seal {
  readonly #query: Query;
  readonly #write: StatementSync | undefined;
  readonly #key: Buffer;
  #beside: Buffer | undefined;

  /** `write`: sets state.seal; undefined: only checks. */
  constructor(query: Query, write: StatementSync | undefined, vaultKey: Uint8Array) {
    this.#query = query;
    this.#write = write;
    this.#key = Buffer.from(hkdfSync("sha256", vaultKey, "", "hoopish seal", 32));
  }

  /**
   * At the start, before anything is written.
   * @throws Error with code HOOPISH_VAULT_KEY when the vault's key is another, HOOPISH_LOG when the end was changed
   */
  check(facts: SealedFacts): void {
    const found = this.#query.get<{ value: Uint8Array | number }>("SELECT value FROM state WHERE name = 'seal'")?.value;
    if (found === undefined || typeof found === "number") {
      // As migrate() makes it. Anything but an empty database had a seal.
      const anything =
        "SELECT 1 FROM (SELECT 1 FROM agents UNION ALL SELECT 1 FROM tokens UNION ALL SELECT 1 FROM records)";
      if (this.#query.get(`${anything} LIMIT 1`) === undefined && facts.intake === 0) return;
      throw changed("the seal of its end is gone");
    }
    const seal = Buffer.from(found);
    if (!same(seal.subarray(0, KEY_MARK_BYTES), this.#keyMark())) {
      throw Object.assign(new Error("the vault's key is not the one with which this store was written"), {
        code: "HOOPISH_VAULT_KEY",
      });
    }
    if (!same(seal.subarray(KEY_MARK_BYTES), this.#mac(facts))) {
      throw changed("its last records, its agents or its holds are not as the server left them");
    }
  }

  /** Inside the transaction that changed them. */
  write(facts: SealedFacts): void {
    this.#write?.run(Buffer.concat([this.#keyMark(), this.#mac(facts)]));
  }

  /** Agents, tokens or holds were changed, or a change of them was rolled back. */
  changed(): void {
    this.#beside = undefined;
  }

  #keyMark(): Buffer {
    return createHmac("sha256", this.#key).update("key").digest().subarray(0, KEY_MARK_BYTES);
  }

  #mac({ size, root, intake, serial }: SealedFacts): Buffer {
    this.#beside ??= this.#besideHash();
    const numbers = Buffer.alloc(24);
    [size, intake, serial].forEach((number, position) => {
      numbers.writeBigUInt64LE(BigInt(number), position * 8);
    });
    return createHmac("sha256", this.#key).update("end").update(numbers).update(root).update(this.#beside).digest();
  }

  #besideHash(): Buffer {
    const hash = createHash("sha256");
    for (const sql of ["SELECT * FROM agents ORDER BY id", "SELECT * FROM tokens ORDER BY sha256"]) {
      for (const row of this.#query.iterate<object>(sql)) hash.update(`${JSON.stringify(Object.values(row))}\n`);
      hash.update("\n");
    }
    for (const row of this.#query.iterate<object>("SELECT * FROM holds ORDER BY id")) {
      hash.update(`hold ${JSON.stringify(Object.values(row))}\n`);
    }
    return hash.digest();
  }
}

/** So that another key is not taken for a changed log. */
const KEY_MARK_BYTES = 8;

const same = (left: Buffer, right: Buffer): boolean => left.length === right.length && timingSafeEqual(left, right);

const changed = (what: string): Error =>
  Object.assign(new Error(`somebody has changed the store: ${what}`), { code: "HOOPISH_LOG" });
