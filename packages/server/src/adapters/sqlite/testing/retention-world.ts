import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type CallId, newCallId, type PayloadField, type RetentionClass, type StoredRecord } from "@hoopish/protocol";
import { Retention } from "../../../evidence/retention/retention.ts";
import { answeredDraft, decidedDraft, type SampleCall, wholePayload } from "../../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "../store.ts";
import { TEST_KEYS } from "./keys.ts";

export const DAY_MS = 86_400_000;
export const PAYLOADS_MS: Readonly<Record<RetentionClass, number>> = {
  default: 90 * DAY_MS,
  heldOrBlocked: 365 * DAY_MS,
};
export const NEVER: AbortSignal = new AbortController().signal;
export const SCHEDULE = { by: "schedule" };

/** A store whose clock is set by hand, with its retention. */
export class RetentionWorld {
  readonly folder: string = mkdtempSync(join(tmpdir(), "hoopish-retention-"));
  nowMs: number = Date.parse("2026-01-15T12:00:00.000Z");
  store!: SqliteStore;
  retention!: Retention;

  get path(): string {
    return join(this.folder, "hoopish.db");
  }

  async open(): Promise<void> {
    const now = (): number => this.nowMs;
    this.store = await openSqliteStore({ path: this.path, keys: TEST_KEYS, replica: "gw-1", clock: now });
    this.retention = new Retention({ store: this.store.retention, payloadsMs: PAYLOADS_MS, now });
  }

  /** What is there cannot be opened any more: an empty one takes its place. */
  async forget(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder);
    await this.open();
  }

  async close(): Promise<void> {
    await this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  at(time: string): void {
    this.nowMs = Date.parse(time);
  }

  /** A whole call, with a request and an answer. */
  async call(of: Partial<SampleCall> = {}, request = "a question", answer = "an answer"): Promise<CallId> {
    const call = of.call ?? newCallId();
    const asked = wholePayload(call, "request", Buffer.from(request));
    await this.store.log.append([decidedDraft({ ...of, call }, [asked])], [asked.piece]);
    const said = wholePayload(call, "delivered", Buffer.from(answer));
    await this.store.log.append([answeredDraft({ ...of, call }, [said])], [said.piece]);
    return call;
  }

  async payload(call: CallId, field: PayloadField): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.store.reader.payload(call, field)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** `field state` of each of a call's payloads. */
  async states(call: CallId): Promise<string[]> {
    const story = await this.store.reader.call(call);
    return (story?.payloads ?? []).map(({ field, state }) => `${field} ${state}`);
  }

  async records(): Promise<StoredRecord[]> {
    const all: StoredRecord[] = [];
    for await (const batch of this.store.reader.export({ sinceMs: 0, untilMs: 8e15 }, false)) {
      for (const item of batch) if (item.kind === "record") all.push(JSON.parse(item.leaf) as StoredRecord);
    }
    return all;
  }

  async purges(): Promise<StoredRecord[]> {
    return (await this.records()).filter(({ type }) => type === "retention.purged");
  }

  /** Every file of the store, as it is on the disk. */
  files(): { readonly name: string; readonly bytes: Buffer }[] {
    return readdirSync(this.folder).map((name) => ({ name, bytes: readFileSync(join(this.folder, name)) }));
  }

  /** Another program's look at the database. */
  rows<T>(sql: string): T[] {
    const db = new DatabaseSync(this.path, { readOnly: true });
    try {
      return db.prepare(sql).all() as T[];
    } finally {
      db.close();
    }
  }
}
