import {
  HoopishError,
  isSessionId,
  leafHash,
  type RecordActor,
  type RecordDraft,
  type SessionId,
  type StoredRecord,
} from "@hoopish/protocol";
import type { BundleScope, DisclosureFilters } from "@hoopish/protocol/bundle";
import type { AnchorReceipt } from "../anchors/anchor.ts";
import type { EvidenceLog, EvidenceReader, LogTree, RecordBytes, SignedCheckpoint } from "../port.ts";
import type { OpenSpool } from "../spool.ts";
import type { LogLine } from "../views/entry.ts";
import { type ViewFile, ViewFiles } from "../views/view-files.ts";
import { VIEW_NAMES } from "../views/views.ts";
import type { BundleSource, BundleView } from "./port.ts";

/** Who wants a bundle, and of what. */
export interface BundleRequest {
  readonly actor: RecordActor;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly payloads: boolean;
  readonly filters: DisclosureFilters;
}

export interface BundlePorts {
  readonly log: Pick<EvidenceLog, "append">;
  readonly reader: Pick<EvidenceReader, "records" | "kept">;
  readonly tree: LogTree;
  /** What the anchors gave back: the newest of each up to a time (Unix milliseconds). */
  readonly receipts: (untilMs: number) => Promise<ReadonlyMap<string, AnchorReceipt>>;
  readonly openSpool: OpenSpool;
  readonly version: string;
}

/** A bundle that can be read from any byte, and made again: the log's own record of it says all that it is made of. */
export interface BundleExport {
  /** Index of its audit.exported: by it the same bundle is asked for again. */
  readonly index: number;
  readonly source: BundleSource;
  close(): Promise<void>;
}

/**
 * Puts the export into the log before anything of it is given away, and makes ready what it is made of.
 * @throws HoopishError evidence_unavailable
 */
export async function beginExport(request: BundleRequest, ports: BundlePorts): Promise<BundleExport> {
  const start = (await ports.tree.signedBefore(request.sinceMs))?.size ?? 0;
  const filters: Record<string, string> = { ...request.filters };
  const draft: RecordDraft<"audit.exported"> = {
    type: "audit.exported",
    actor: request.actor,
    since: new Date(request.sinceMs).toISOString(),
    until: new Date(request.untilMs).toISOString(),
    format: "bundle",
    payloads: request.payloads,
    start,
    ...(Object.keys(filters).length === 0 ? {} : { filters }),
  };
  const index = await ports.log.append([draft]);
  // In the database, so that it can be read, and under a signature.
  await ports.tree.sign();
  const stored = await storedExport(index, ports);
  if (stored === undefined) throw new HoopishError("internal", "an export's record is not where it was written");
  return await open(index, stored, ports);
}

/**
 * The same export again, to go on where it was cut off.
 * @throws HoopishError not_found when the log has no such export of this actor
 */
export async function resumeExport(index: number, actor: RecordActor, ports: BundlePorts): Promise<BundleExport> {
  const missing = new HoopishError("not_found", "there is no such export of yours", { hint: "begin a new one" });
  if (!Number.isSafeInteger(index) || index < 0 || index >= ports.tree.newest().size) throw missing;
  const stored = await storedExport(index, ports);
  if (stored?.actor?.sub !== actor.sub || stored.actor.iss !== actor.iss) throw missing;
  return await open(index, stored, ports);
}

type Exported = Extract<StoredRecord, { readonly type: "audit.exported" }>;

/** The record of a bundle's export; undefined: there is another one at this index. */
async function storedExport(index: number, { reader }: BundlePorts): Promise<Exported | undefined> {
  for await (const [record] of reader.records(index, index + 1)) {
    const stored = JSON.parse(Buffer.from(record?.leaf ?? []).toString()) as StoredRecord;
    return stored.type === "audit.exported" && stored.format === "bundle" ? stored : undefined;
  }
  return undefined;
}

/** Only of what will be the same when this is asked for again: the record, and what was signed and kept up to its time. */
async function open(index: number, exported: Exported, ports: BundlePorts): Promise<BundleExport> {
  const { tree, reader } = ports;
  const { actor, since, until, payloads, start = 0, filters = {} } = exported;
  if (actor === undefined) throw new HoopishError("internal", "an export without an actor");
  const end = await tree.signAt(index + 1);
  const scope: BundleScope = {
    v: 1,
    origin: tree.origin,
    start,
    end: index + 1,
    since,
    until,
    payloads,
    filters: disclosureOf(filters),
    withheld: [],
    requester: { iss: actor.iss, name: actor.name, sub: actor.sub },
  };
  const views = new LazyViews(await ViewFiles.open(ports.openSpool, { version: ports.version, origin: tree.origin }));
  const source: BundleSource = {
    scope,
    signer: tree.signer,
    startNote: start === 0 ? undefined : (await tree.signAt(start)).note,
    endNote: end.note,
    leftEdge: await tree.edge(start),
    history: () => signedRoots(tree.history(start, end.size), end.timeMs),
    anchors: async function* () {
      yield* anchorFiles(await ports.receipts(Date.parse(exported.time)), end.size);
    },
    records: (from, to) => views.watch(reader.records(from, to)),
    payloads: (wanted) => reader.kept(wanted),
    views: views.files,
  };
  return { index, source, close: () => views.close() };
}

function disclosureOf(filters: Readonly<Record<string, string>>): DisclosureFilters {
  const { user, connection, session } = filters;
  return {
    ...(user === undefined ? {} : { user }),
    ...(connection === undefined ? {} : { connection }),
    ...(session !== undefined && isSessionId(session) ? { session: session satisfies SessionId } : {}),
  };
}

/** Of sizes in the range another export may have had one signed later. */
async function* signedRoots(
  history: AsyncIterable<SignedCheckpoint>,
  untilMs: number,
): AsyncGenerator<{ readonly size: number; readonly root: Uint8Array; readonly time: string }> {
  for await (const { size, root, timeMs } of history) {
    if (timeMs <= untilMs) yield { size, root, time: new Date(timeMs).toISOString() };
  }
}

/** Notes and timestamps of what the range covers; a receipt that came while this was being made is for the next export. */
async function* anchorFiles(
  receipts: ReadonlyMap<string, AnchorReceipt>,
  end: number,
): AsyncGenerator<{ readonly name: string; readonly bytes: Uint8Array }> {
  let number = 0;
  for (const receipt of receipts.values()) {
    const size = Number(receipt.note.split("\n", 2)[1]);
    if (!(size <= end)) continue;
    const name = `${receipt.kind === "cosigned" ? "witness" : "timestamp"}-${++number}`;
    yield { name: `${name}.note`, bytes: Buffer.from(receipt.note) };
    if (receipt.kind === "timestamp") yield { name: `${name}.tsr`, bytes: receipt.response };
  }
}

/** The views are made as the records flow by, and are there when the last record has. */
class LazyViews {
  readonly files: readonly BundleView[];
  readonly #making: ViewFiles;
  #made: Promise<readonly ViewFile[]> | undefined;

  constructor(making: ViewFiles) {
    this.#making = making;
    this.files = VIEW_NAMES.map((name) => ({ name, content: () => this.#content(name) }));
  }

  async *watch(records: AsyncIterable<readonly RecordBytes[]>): AsyncGenerator<readonly RecordBytes[]> {
    for await (const batch of records) {
      await this.#making.add(batch.map(lineOf));
      yield batch;
    }
  }

  async close(): Promise<void> {
    await this.#making.close();
  }

  async *#content(name: string): AsyncGenerator<Uint8Array> {
    this.#made ??= this.#making.finish();
    const file = (await this.#made).find(({ path }) => path === `views/${name}`);
    if (file !== undefined) yield* file.read();
  }
}

function lineOf({ index, leaf }: RecordBytes): LogLine {
  const text = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString();
  return { index, leaf: text, leafHash: leafHash(leaf) };
}
