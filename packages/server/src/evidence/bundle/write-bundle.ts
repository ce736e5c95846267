import { signNote } from "@hoopish/protocol";
import {
  anchorPath,
  type BundleManifest,
  CHUNK_RECORDS,
  END_PATH,
  encodeHistoryLine,
  encodeLeftEdge,
  encodeManifest,
  encodeScope,
  GUIDE_PATH,
  HISTORY_PATH,
  LEFT_EDGE_PATH,
  MANIFEST_NOTE_PATH,
  MANIFEST_PATH,
  manifestText,
  payloadSumsPath,
  recordsPath,
  SCOPE_PATH,
  START_PATH,
  TAR_END,
  viewPath,
} from "@hoopish/protocol/bundle";
import { ArchiveFiles, sumOf } from "./archive-files.ts";
import { type Part, pack } from "./packing.ts";
import { payloadFiles } from "./payload-files.ts";
import type { BundleSource, BundleView, SignedRoot } from "./port.ts";
import { type RecordChunk, recordChunks } from "./record-chunk.ts";
import { thinnedHistory } from "./thinned-history.ts";
import { VERIFY_GUIDE } from "./verify-guide.ts";

export interface WriteBundleOptions {
  /** Bytes that the receiver has already, from the same source: they are made again, and not given. */
  readonly fromOffset?: number;
  /** After each file of records. */
  readonly onProgress?: (progress: { readonly records: number }) => void;
}

/**
 * An evidence bundle as it is made: the same bytes for the same source, whenever and in whatever pieces it answers.
 * Memory does not grow with the range or with a payload; a chunk of 4,096 records is held, packed.
 * @throws what the source throws; Error when it contradicts itself. What was given until then is no bundle.
 */
export async function* writeBundle(source: BundleSource, options: WriteBundleOptions = {}): AsyncGenerator<Buffer> {
  let skip = options.fromOffset ?? 0;
  for await (const bytes of pack(archive(source, options), { seal: true })) {
    if (skip < bytes.length) yield skip === 0 ? bytes : bytes.subarray(skip);
    skip = Math.max(0, skip - bytes.length);
  }
}

/** The files in the order of the format (protocol/src/bundle/layout.ts): what judges a file stands before it. */
async function* archive(source: BundleSource, options: WriteBundleOptions): AsyncGenerator<Part> {
  const { scope } = source;
  const history = await thinnedHistory(source.history());
  const files = new ArchiveFiles(timeOf(history, scope.end));
  yield files.small(GUIDE_PATH, VERIFY_GUIDE);
  yield files.small(SCOPE_PATH, encodeScope(scope));
  if (scope.start > 0) yield files.small(START_PATH, required(source.startNote));
  yield files.small(END_PATH, source.endNote);
  yield files.small(LEFT_EDGE_PATH, encodeLeftEdge({ size: scope.start, hashes: source.leftEdge.map(base64) }));
  yield files.small(HISTORY_PATH, history.map(historyLine).join(""));
  for await (const { name, bytes } of source.anchors()) yield files.small(anchorPath(name), bytes);
  let chunk = 0;
  for await (const records of recordChunks(source)) {
    yield* writeChunk(source, files, chunk++, records);
    options.onProgress?.({ records: Math.min(chunk * CHUNK_RECORDS, scope.end - scope.start) });
  }
  for (const view of source.views) yield* writeView(files, view);
  const manifest: BundleManifest = { ...scope, files: files.sums };
  const json = Buffer.from(encodeManifest(manifest));
  yield files.unlisted(MANIFEST_PATH, json);
  const text = manifestText(scope.origin, sumOf(json).sha256);
  yield files.unlisted(MANIFEST_NOTE_PATH, Buffer.from(signNote(text, [source.signer])));
  yield { bytes: TAR_END, packed: false };
}

async function* writeChunk(
  source: BundleSource,
  files: ArchiveFiles,
  chunk: number,
  { packed, wanted }: RecordChunk,
): AsyncGenerator<Part> {
  const bytes = packed.reduce((sum, piece) => sum + piece.length, 0);
  const sha256 = yield* files.flowing(recordsPath(chunk), bytes, packed, true);
  files.list(recordsPath(chunk), { bytes, sha256 });
  const lines = yield* payloadFiles(source, files, wanted);
  if (lines.length > 0) yield files.small(payloadSumsPath(chunk), lines.join(""));
}

/** tar needs the length first: a view is made once to be measured, and once to be written. */
async function* writeView(files: ArchiveFiles, { name, content }: BundleView): AsyncGenerator<Part> {
  let bytes = 0;
  for await (const part of content()) bytes += part.byteLength;
  const sha256 = yield* files.flowing(viewPath(name), bytes, content());
  files.list(viewPath(name), { bytes, sha256 });
}

/** Of all files: when the end was signed. */
function timeOf(history: readonly SignedRoot[], end: number): number {
  const last = history.at(-1);
  if (last?.size !== end) throw new Error("the history of checkpoints does not end with the range");
  return Math.floor(Date.parse(last.time) / 1000);
}

function required(note: string | undefined): string {
  if (note === undefined) throw new Error("a range that does not begin with the log has a checkpoint at its start");
  return note;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const historyLine = ({ size, root, time }: SignedRoot): string => encodeHistoryLine({ size, root: base64(root), time });
