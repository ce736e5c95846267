import { type CallId, HoopishError, type PayloadField } from "@hoopish/protocol";
import type { AgentStore, EnrolledAgent } from "../../agents/port.ts";
import { createEvidenceLog } from "../../evidence/log.ts";
import type { EvidenceLog, EvidenceReader, LogTree, TimedPiece } from "../../evidence/port.ts";
import { type LeftOpen, type Recovery, recover } from "../../evidence/recovery.ts";
import type { RetentionStore } from "../../evidence/retention/port.ts";
import { createAgentStore } from "./agent-store.ts";
import { readKept, readRecords } from "./bundle-reads.ts";
import { Commits } from "./commits.ts";
import type { StoreKeys } from "./database.ts";
import type { ExportBatch, ExportPosition } from "./export-queries.ts";
import type { PayloadBytes } from "./payload-queries.ts";
import { createRetentionStore } from "./retention/retention-store.ts";
import { SignedTree } from "./signed-tree.ts";
import { DatabaseThreads } from "./threads.ts";
import { PAYLOAD_START, type PayloadPosition, PURGED } from "./vault/vault-reader.ts";

export interface SqliteStoreOptions {
  /** The database's file, made when it is not there; or `:memory:`, which lives as long as the store. */
  readonly path: string;
  /** Which server this is, in every record's `src`. */
  readonly replica: string;
  readonly keys: StoreKeys;
  /** Before anything is signed: looks whether what is here is what was seen outside. Rejects: the store is closed again. */
  readonly beforeSigning?: (log: StoredLog) => Promise<void>;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** Pages of the file, at most; for tests of a full disk. */
  readonly maxPages?: number;
}

/** The log as the store holds it at the start. */
export interface StoredLog {
  readonly size: number;
  readonly root: Uint8Array;
  /** RFC 6962 §2.1.2, for 0 < from < to ≤ size. */
  consistency(from: number, to: number): Promise<readonly Uint8Array[]>;
}

export interface SqliteStore {
  readonly log: EvidenceLog;
  readonly reader: EvidenceReader;
  readonly tree: LogTree;
  readonly agents: AgentStore;
  readonly retention: RetentionStore;
  /** What a crash had left: open calls and sessions, which were ended in the log before anything else, and records that
   *  were durable in the intake alone. */
  readonly recovered: Recovery;
  /** Writes what waits, then lets go of the database. */
  close(): Promise<void>;
}

/**
 * Opens the store, and ends in its log what a crash left open.
 * @throws HoopishError configuration: the file cannot be opened, or another server uses it; evidence_unavailable
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const { path, keys, maxPages } = options;
  const threads = await DatabaseThreads.open({ path, keys, maxPages });
  try {
    await options.beforeSigning?.(await storedLog(threads));
    await threads.beginSigning();
    return await openOn(threads, await openCommits(threads, options), options);
  } catch (error) {
    // Nothing may hold the process, or the store's lock, when there is no store.
    await threads.close();
    throw error;
  }
}

async function openCommits(threads: DatabaseThreads, { path, keys }: SqliteStoreOptions): Promise<Commits> {
  try {
    return await Commits.open(threads, { storePath: path === ":memory:" ? undefined : path, vaultKey: keys.vault });
  } catch (cause) {
    const why = ((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message;
    throw new HoopishError("evidence_unavailable", `the store ${path} takes no records: ${why}`, {
      hint: "look for room and for errors of the disk there; whatever was recorded is safe",
      cause,
    });
  }
}

async function openOn(threads: DatabaseThreads, commits: Commits, options: SqliteStoreOptions): Promise<SqliteStore> {
  const bootIndex = threads.lastWriter.opened.size;
  const log = createEvidenceLog(commits, options);
  const ask: Ask = async (method, ...args) => {
    await commits.settle();
    return (await threads.reader()).ask(`reader.${method}`, ...args);
  };
  const tree = new SignedTree(threads, options.keys.log);
  const close = async (): Promise<void> => {
    await log.close();
    // What was written last is signed too; a store that cannot write keeps what it has.
    await tree.sign().catch(() => undefined);
    await threads.close();
    commits.close();
  };
  try {
    // What a change rests on is asked of the thread that makes the change.
    const askWriter: Ask = async (method, ...args) => (await threads.writer()).ask(`reader.${method}`, ...args);
    const { recovered: records, intake, previousKey } = threads.lastWriter.opened;
    if (previousKey !== undefined) {
      await log.append([{ type: "key.rotated", key: tree.vkey, previous: previousKey }]);
      await tree.sign();
    }
    const recovered = await recover(await askWriter<LeftOpen>("leftOpen"), { records, missing: intake.missing }, log);
    const agents = createAgentStore(
      {
        agents: () => askWriter<readonly EnrolledAgent[]>("agents"),
        tokenGood: (sha256, name, nowMs) => askWriter<boolean>("tokenGood", sha256, name, nowMs),
      },
      log,
    );
    const retention = createRetentionStore({
      read: ask,
      write: async (method, ...args) => (await threads.writer()).ask(method, ...args),
      renewIntake: () => commits.renewIntake(),
      log,
      now: options.clock ?? Date.now,
    });
    return { log, reader: createReader(ask, bootIndex), tree, agents, retention, recovered, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function storedLog(threads: DatabaseThreads): Promise<StoredLog> {
  const { size } = threads.lastWriter.opened;
  const reader = await threads.reader();
  return {
    size,
    root: await reader.ask<Uint8Array>("reader.root", size),
    consistency: (from, to) => reader.ask("reader.consistency", from, to),
  };
}

type Ask = <T>(method: string, ...args: readonly unknown[]) => Promise<T>;

function createReader(ask: Ask, bootIndex: number): EvidenceReader {
  return {
    pieces: (id, field) => timedPieces(ask, id, field),
    records: (from, to) => readRecords(ask, from, to),
    kept: (wanted) => readKept(ask, (id, field) => timedPieces(ask, id, field), wanted),
    calls: async (filter, limit, cursor) => ask("calls", filter, limit, checked(cursor)),
    call: (id) => ask("call", id),
    search: async (filter, limit, cursor) => ask("search", filter, limit, checked(cursor)),
    pastSessions: async (user, limit, cursor) => ask("pastSessions", bootIndex, user, limit, checked(cursor)),
    session: (id) => ask("session", id),
    async *payload(id, field) {
      for await (const { bytes } of timedPieces(ask, id, field)) yield bytes;
    },
    async *export({ sinceMs, untilMs }, payloads) {
      let position: ExportPosition | undefined;
      do {
        const batch: ExportBatch = await ask("exportBatch", { sinceMs, untilMs, payloads }, position);
        if (batch.items.length > 0) yield batch.items;
        position = batch.position;
      } while (position !== undefined);
    },
  };
}

async function* timedPieces(ask: Ask, id: CallId, field: PayloadField): AsyncGenerator<TimedPiece> {
  for (let from: PayloadPosition | undefined = PAYLOAD_START; from !== undefined; ) {
    const part: PayloadBytes = await ask<PayloadBytes>("payloadPart", id, field, from).catch(refusePurged);
    yield* part.pieces;
    from = part.next;
  }
}

function refusePurged(error: unknown): never {
  if ((error as { code?: string }).code !== PURGED) throw error;
  throw new HoopishError("purged", "this payload was destroyed when its time was over", {
    hint: "hoopish audit show tells which record says so",
    cause: error,
  });
}

/** A cursor comes from outside. @throws HoopishError bad_request */
function checked(cursor: string | undefined): string | undefined {
  if (cursor === undefined || /^\d{1,15}$/.test(cursor)) return cursor;
  throw new HoopishError("bad_request", "that is no cursor of this list");
}
