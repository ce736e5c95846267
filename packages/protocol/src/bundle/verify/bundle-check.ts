import { BundleError } from "../bundle-error.ts";
import { type BundleFile, type BundlePath, END_PATH, MAX_NAMED_FILES, START_PATH } from "../layout.ts";
import { type BundleScope, decodeScope, type FileSum } from "../manifest.ts";
import type { PayloadWord, Report, Unchecked } from "../report.ts";
import { CheckpointsCheck } from "./checkpoints-check.ts";
import { ChunkCheck } from "./chunk-check.ts";
import { exportDifference } from "./export-check.ts";
import type { FileContent } from "./file-content.ts";
import { Findings } from "./findings.ts";
import { readJson } from "./json-file.ts";
import { Keyring } from "./keyring.ts";
import { ManifestCheck } from "./manifest-check.ts";
import type { VerifyOptions } from "./options.ts";
import { OutsideCheckpoints } from "./outside.ts";
import { PayloadCheck } from "./payload-check.ts";
import { RecordCheck } from "./record-check.ts";
import { TreeCheck } from "./tree-check.ts";

const SMALL_BYTES = 64 * 1024;
const NOTE_BYTES = 1024 * 1024;
const HISTORY_BYTES = 16 * 1024 * 1024;
/** 120 bytes a file, two files for 4,096 records: five hundred million records. */
const MANIFEST_BYTES = 32 * 1024 * 1024;

/** What every bundle has. */
const REQUIRED: readonly BundleFile[] = [
  "guide",
  "scope",
  "end",
  "left-edge",
  "history",
  "records",
  "manifest",
  "manifest-note",
];

/** What is known only once the scope has been read. */
interface Ranged {
  readonly scope: BundleScope;
  readonly checkpoints: CheckpointsCheck;
  readonly records: RecordCheck;
  readonly chunks: ChunkCheck;
}

/** The checks, file by file in the order in which a bundle has them, and what they have found. */
export class BundleCheck {
  readonly #options: VerifyOptions;
  readonly #findings = new Findings();
  readonly #keys: Keyring;
  readonly #tree = new TreeCheck(this.#findings);
  readonly #payloads = new PayloadCheck(this.#findings);
  readonly #manifest = new ManifestCheck(this.#findings);
  readonly #outside: OutsideCheckpoints;
  readonly #seen = new Set<BundleFile>();
  #ranged: Ranged | undefined;
  #mtime: number | undefined;
  #named = 0;

  /** @throws HoopishError usage */
  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#keys = new Keyring(options.keys);
    this.#outside = new OutsideCheckpoints(this.#keys, this.#findings, this.#tree, options);
  }

  /** A file's time in the archive: all have one. */
  time(mtime: number): void {
    this.#mtime ??= mtime;
    if (mtime !== this.#mtime) throw new BundleError("archive_malformed", "its time is not that of the other files");
  }

  /** @throws BundleError when it makes no sense to read on */
  async file(file: BundlePath, content: FileContent): Promise<void> {
    try {
      await this.#judge(file, content);
    } catch (error) {
      // Without these nothing that follows can be judged.
      if (!(error instanceof BundleError) || error.fatal || file.kind === "scope" || isOfArchive(error)) throw error;
      this.#findings.add(error.code, `${content.path}: ${error.message}`, { file: content.path });
      if (file.kind === "records") this.#tree.lose();
    }
  }

  async #judge(file: BundlePath, content: FileContent): Promise<void> {
    switch (file.kind) {
      case "guide":
        return;
      case "scope":
        return this.#begin(readJson(decodeScope, await content.whole(SMALL_BYTES)));
      case "start":
        return this.#range.checkpoints.start(await content.whole(NOTE_BYTES));
      case "end":
        return this.#range.checkpoints.end(await content.whole(NOTE_BYTES));
      case "left-edge":
        return this.#range.checkpoints.leftEdge(await content.whole(SMALL_BYTES));
      case "history":
        return this.#range.checkpoints.history(await content.whole(HISTORY_BYTES), this.#mtime);
      case "anchor":
        this.#countNamed();
        return this.#anchor(file.name, await content.whole(NOTE_BYTES));
      case "records":
        if (!this.#seen.has("records")) this.#range.checkpoints.beginTree();
        await this.#range.chunks.records(file.chunk, content);
        this.#options.onProgress?.({ records: this.#range.records.index - this.#range.scope.start });
        return;
      case "salt":
      case "payload":
      case "payload-sums":
        return this.#range.chunks.payloadFile(file, content);
      case "view":
        this.#countNamed();
        this.#range.chunks.close();
        return;
      case "manifest":
        this.#range.chunks.close();
        return this.#manifest.manifest(await content.whole(MANIFEST_BYTES), this.#range.scope);
      case "manifest-note":
        return this.#manifest.note(await content.whole(NOTE_BYTES), this.#range.scope, this.#keys);
    }
  }

  /** The file was read to its end. */
  read(file: BundlePath, path: string, sum: FileSum): void {
    this.#seen.add(file.kind);
    if (file.kind === "salt" || file.kind === "payload") this.#range.chunks.listed(path, sum);
    else if (file.kind !== "manifest" && file.kind !== "manifest-note") this.#manifest.saw(path, sum);
  }

  get #range(): Ranged {
    if (this.#ranged === undefined) throw new BundleError("file_missing", "scope.json does not stand before it");
    return this.#ranged;
  }

  #begin(scope: BundleScope): void {
    if (scope.start > scope.end) throw new BundleError("file_malformed", "its range ends before it starts");
    const records = new RecordCheck(scope, this.#findings, this.#tree, this.#payloads);
    const chunks = new ChunkCheck(records, this.#payloads, this.#findings);
    const checkpoints = new CheckpointsCheck(scope, this.#keys, this.#findings, this.#tree);
    this.#ranged = { scope, checkpoints, records, chunks };
    this.#outside.begin(scope);
  }

  #countNamed(): void {
    if (++this.#named <= 2 * MAX_NAMED_FILES) return;
    throw new BundleError("file_unexpected", "more anchors and views than a bundle has", { fatal: true });
  }

  #anchor(name: string, bytes: Buffer): void {
    if (name.endsWith(".note")) this.#outside.note(this.#range.scope, name, bytes);
    else if (name.endsWith(".tsr")) this.#outside.timestamp(name, bytes);
    else this.#outside.other(name);
  }

  /** @returns the report of a bundle that could not be read to its end */
  stopped(error: BundleError, file: string | undefined): Report {
    const index = this.#ranged?.records.index;
    const where = { ...(file === undefined ? {} : { file }), ...(index === undefined ? {} : { index }) };
    const message = file === undefined ? error.message : `${file}, or what follows it: ${error.message}`;
    this.#findings.add(error.code, message, where);
    return this.#report({ PURGED: 0, MISSING: 0, purges: [] }, [
      { code: "rest", message: "what stands behind the place where reading ended was not checked" },
    ]);
  }

  ended(): Report {
    const ranged = this.#ranged;
    const required = ranged?.scope.start === 0 ? REQUIRED : [...REQUIRED, "start" as const];
    for (const kind of required) {
      if (!this.#seen.has(kind)) this.#findings.add("file_missing", `the bundle has no file of kind ${kind}`);
    }
    if (ranged === undefined) return this.#report({ PURGED: 0, MISSING: 0, purges: [] }, []);
    const { scope, records, chunks } = ranged;
    if (scope.start === 0 && this.#seen.has("start")) {
      this.#findings.add("file_unexpected", "a range from the beginning has no start", { file: START_PATH });
    }
    chunks.close();
    if (records.index < scope.end) {
      const message = `the records end at ${records.index}; the checkpoint at the end is of ${scope.end}`;
      this.#findings.add("records_missing", message, { from: records.index, to: scope.end });
    }
    // Whatever way leads here: without the root of the end nothing is verified.
    if (this.#findings.verdict !== "tampered" && !this.#tree.confirms(END_PATH)) {
      this.#findings.add("root_differs", "the records were not led to the root of the end", { file: END_PATH });
    }
    const difference = exportDifference(scope, records.lastExport);
    if (difference !== undefined) {
      this.#findings.add("export_differs", difference, { index: records.index - 1 });
    }
    return this.#report(records.absent.settle(this.#findings), this.#afterwards(ranged));
  }

  #afterwards({ scope, records }: Ranged): Unchecked[] {
    const unchecked: Unchecked[] = [...this.#outside.unchecked(scope.end)];
    for (const { hold } of scope.withheld) {
      if (records.holds.has(hold)) continue;
      unchecked.push({ code: "hold", message: `the hold ${hold} has no record in this range` });
    }
    if (records.absent.hasUnknownClass) {
      const message =
        "some payloads that are gone are of calls decided before this range: any purge of their time was taken for theirs";
      unchecked.push({ code: "retention_class", message });
    }
    if (this.#payloads.uncommitted > 0) {
      const message = `${this.#payloads.uncommitted} payloads of calls that a crash cut: only the manifest's signature covers them`;
      unchecked.push({ code: "interrupted_payloads", message });
    }
    if (this.#seen.has("view")) {
      const message = "views/ are as they were signed; whether they say what the records say was not worked out again";
      unchecked.push({ code: "views", message });
    }
    return unchecked;
  }

  #report(settled: ReturnType<RecordCheck["absent"]["settle"]>, unchecked: readonly Unchecked[]): Report {
    const scope = this.#ranged?.scope;
    const records = this.#ranged?.records;
    const { first, last } = records?.times ?? { first: undefined, last: undefined };
    const payloads: Record<PayloadWord, number> = {
      PRESENT_OK: this.#payloads.present,
      PURGED: settled.PURGED,
      HELD: records?.counts.HELD ?? 0,
      WITHHELD: records?.counts.WITHHELD ?? 0,
      MISSING: settled.MISSING,
      MISMATCH: this.#payloads.mismatched,
    };
    return {
      verdict: this.#findings.verdict,
      origin: scope?.origin,
      range: { start: scope?.start, end: scope?.end, since: scope?.since, until: scope?.until, first, last },
      requester: scope?.requester,
      filters: scope?.filters as Record<string, string> | undefined,
      counts: {
        records: (records?.index ?? 0) - (scope?.start ?? 0),
        payloads,
        uncommitted: this.#payloads.uncommitted,
      },
      findings: this.#findings.list,
      omitted: this.#findings.omitted,
      keys: this.#keys.used,
      purges: settled.purges,
      anchors: this.#outside.checked(),
      unchecked,
    };
  }
}

/** The archive itself is broken: what comes next may be anything. */
const isOfArchive = (error: BundleError): boolean => error.code.startsWith("archive_");
