import {
  foldName,
  HoopishError,
  type LockId,
  type LockKind,
  type LockRequest,
  type LockView,
  newLockId,
  type RecordActor,
  type StoredRecord,
} from "@hoopish/protocol";
import type { EvidenceLog, EvidenceReader } from "../evidence/port.ts";
import { recordsOfTypes } from "../evidence/records-of-types.ts";
import type { Locks } from "./port.ts";

/** Lifted locks that are kept at hand; older ones stand in the log. */
const MAX_LIFTED = 1_000;

/**
 * Who and what is locked out. The log is where locks are kept. A lock works from the moment it is asked for: when its record
 * cannot be written it stays, in this process, and whoever set it is told.
 */
export class LockBook implements Locks {
  readonly #log: EvidenceLog;
  readonly #now: () => number;
  readonly #set = new Map<string, LockView>();
  #lifted: LockView[] = [];

  constructor(log: EvidenceLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  static async load(log: EvidenceLog, reader: EvidenceReader, now: () => number): Promise<LockBook> {
    const book = new LockBook(log, now);
    for (const { record } of await recordsOfTypes(reader, ["lock.set", "lock.lifted"])) book.#apply(record);
    return book;
  }

  find(kind: LockKind, name: string): LockView | undefined {
    return this.#set.size === 0 ? undefined : this.#set.get(keyOf(kind, name));
  }

  /** Set ones first, newest first. */
  list(): LockView[] {
    return [...[...this.#set.values()].reverse(), ...this.#lifted];
  }

  /** @throws HoopishError conflict, evidence_unavailable (locked all the same) */
  async set({ kind, name, reason }: LockRequest, by: RecordActor): Promise<LockView> {
    const key = keyOf(kind, name);
    if (this.#set.has(key)) throw new HoopishError("conflict", `${kind} ${name} is locked already`);
    const at = new Date(this.#now()).toISOString();
    const lock: LockView = { id: newLockId(), kind, name, reason: reason.toWellFormed(), by: by.name, at };
    this.#set.set(key, lock);
    const words = { lock: lock.id, kind, name: name.toWellFormed(), reason: lock.reason, by: by.name };
    await this.#log.append([{ type: "lock.set", actor: by, ...words }]);
    return lock;
  }

  /** @throws HoopishError not_found, evidence_unavailable (still locked then) */
  async lift(id: LockId, reason: string, by: RecordActor): Promise<LockView> {
    const lock = [...this.#set.values()].find((one) => one.id === id);
    if (lock === undefined) throw new HoopishError("not_found", "no such lock, or it is lifted already");
    const { kind, name } = lock;
    const words = { lock: id, kind, name: name.toWellFormed(), reason: reason.toWellFormed(), by: by.name };
    await this.#log.append([{ type: "lock.lifted", actor: by, ...words }]);
    return this.#lift(lock, { by: by.name, at: new Date(this.#now()).toISOString(), reason: words.reason });
  }

  #lift(lock: LockView, lifted: NonNullable<LockView["lifted"]>): LockView {
    this.#set.delete(keyOf(lock.kind, lock.name));
    const ended = { ...lock, lifted };
    this.#lifted = [ended, ...this.#lifted].slice(0, MAX_LIFTED);
    return ended;
  }

  #apply(record: StoredRecord): void {
    if (record.type !== "lock.set" && record.type !== "lock.lifted") return;
    const { lock: id, kind, name, reason, by, time: at } = record;
    if (record.type === "lock.set") this.#set.set(keyOf(kind, name), { id, kind, name, reason, by, at });
    else {
      const lock = this.#set.get(keyOf(kind, name));
      if (lock !== undefined) this.#lift(lock, { by, at, reason });
    }
  }
}

/** Identity providers write one user in several ways; agents and connections are ours, and exact. */
const keyOf = (kind: LockKind, name: string): string => `${kind}\n${kind === "user" ? foldName(name) : name}`;
