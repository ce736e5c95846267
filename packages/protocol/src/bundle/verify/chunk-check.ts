import { PAYLOAD_FIELDS } from "../../record.ts";
import { BundleError } from "../bundle-error.ts";
import { type BundlePath, CHUNK_RECORDS, payloadSumsPath, sumLine } from "../layout.ts";
import type { FileSum } from "../manifest.ts";
import type { FileContent } from "./file-content.ts";
import type { Findings } from "./findings.ts";
import type { PayloadCheck } from "./payload-check.ts";
import type { RecordCheck } from "./record-check.ts";
import { readRecords } from "./records-file.ts";

/** Each record commits to one payload of each kind at most, and each has a salt. */
const MAX_PAYLOAD_FILES = 2 * CHUNK_RECORDS * PAYLOAD_FIELDS.length;
/** A salt in base64 with its newline. */
const SALT_FILE_BYTES = 45;

type PayloadFile = Extract<BundlePath, { readonly kind: "salt" | "payload" | "payload-sums" }>;

/** Chunk after chunk: 4,096 records, the payloads that they commit to, and the list of those files. */
export class ChunkCheck {
  readonly #records: RecordCheck;
  readonly #payloads: PayloadCheck;
  readonly #findings: Findings;
  #chunk = -1;
  #count = CHUNK_RECORDS;
  #lines: string[] = [];
  #isListed = false;

  constructor(records: RecordCheck, payloads: PayloadCheck, findings: Findings) {
    this.#records = records;
    this.#payloads = payloads;
    this.#findings = findings;
  }

  /** @throws BundleError when the file cannot be read to its end: the records after the last good one are unknown */
  async records(chunk: number, content: FileContent): Promise<void> {
    this.close();
    if (chunk !== this.#chunk + 1)
      throw new BundleError("file_missing", `the file of records ${this.#chunk + 1} is not here`);
    if (this.#count !== CHUNK_RECORDS) {
      // An honest bundle has this once, at its end: thousands of empty files would only fill the memory.
      const message = `${this.#count} records in the file before, which is not the last one; there must be ${CHUNK_RECORDS}`;
      throw new BundleError("records_missing", message, { fatal: true });
    }
    this.#chunk = chunk;
    const { path } = content;
    try {
      this.#count = await readRecords(content, (bytes, from, to) => this.#records.check(bytes, from, to, path));
    } catch (error) {
      if (!(error instanceof BundleError) || content.isOfArchive(error)) throw error;
      // Of this file's own gzip: the archive goes on behind it.
      throw new BundleError("file_malformed", `behind record ${this.#records.index}: ${error.message}`, {
        cause: error,
      });
    }
  }

  async payloadFile(file: PayloadFile, content: FileContent): Promise<void> {
    if (this.#isListed) throw new BundleError("file_unexpected", "it stands behind the list of the chunk's payloads");
    if (file.kind === "payload-sums") return this.#sums(file.chunk, content);
    if (file.kind === "salt") {
      this.#payloads.salt(file, content.path, await content.whole(SALT_FILE_BYTES));
      return;
    }
    const judge = this.#payloads.payload(file, content.path);
    for (let part = await content.part(); part !== undefined; part = await content.part()) judge.update(part);
    judge.end();
  }

  /** A payload file or salt that was read. */
  listed(path: string, { sha256 }: FileSum): void {
    if (this.#lines.length >= MAX_PAYLOAD_FILES) {
      throw new BundleError("file_unexpected", "more payload files than a chunk's records can have", { fatal: true });
    }
    this.#lines.push(sumLine(sha256, path));
  }

  async #sums(chunk: number, content: FileContent): Promise<void> {
    if (chunk !== this.#chunk || this.#lines.length === 0) {
      throw new BundleError("file_unexpected", "a list of payloads where there are none");
    }
    const here = this.#lines.join("");
    this.#isListed = true;
    const there = (await content.whole(here.length + SLACK_BYTES)).toString("latin1");
    if (there !== here) this.#findings.add("manifest_differs", ...differingLine(here, there, content.path));
  }

  /** Ends the chunk, if one is open. */
  close(): void {
    for (const payload of this.#payloads.close()) this.#records.absent.add(payload);
    if (this.#lines.length > 0 && !this.#isListed) {
      const file = payloadSumsPath(this.#chunk);
      this.#findings.add("file_missing", "the list of the payloads before it is not here", { file });
    }
    this.#lines = [];
    this.#isListed = false;
  }
}

/** A list may be longer than what is here: payloads were taken out. More than this is not worth reading. */
const SLACK_BYTES = 16 * 1024 * 1024;

function differingLine(here: string, there: string, list: string): [string, { readonly file: string }] {
  const found = new Set(here.split("\n"));
  const line = there.split("\n").find((one) => !found.has(one)) ?? "";
  const path = line.slice(66);
  return [`${list} lists other payload files, or others' content, than are here`, { file: path === "" ? list : path }];
}
