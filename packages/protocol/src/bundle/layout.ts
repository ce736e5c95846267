import { PAYLOAD_FIELDS, type PayloadField } from "../record.ts";

/**
 * What stands where in an evidence bundle. A bundle is written and read in one pass, so the order of its files is part
 * of the format (docs/decisions/0005-bundle-order.md): what a reader needs to judge a file stands before it.
 */

/** Records in each file of records but the last. */
export const CHUNK_RECORDS = 4096;
/** Lines of checkpoints/history.jsonl, at most: a verifier holds them all. */
export const MAX_HISTORY = 65_536;

/** Files in anchors/ and in views/, at most. */
export const MAX_NAMED_FILES = 256;

export const GUIDE_PATH = "VERIFY.md";
export const SCOPE_PATH = "scope.json";
export const START_PATH = "checkpoints/start.note";
export const END_PATH = "checkpoints/end.note";
export const LEFT_EDGE_PATH = "left-edge.json";
export const HISTORY_PATH = "checkpoints/history.jsonl";
export const MANIFEST_PATH = "manifest.json";
export const MANIFEST_NOTE_PATH = "manifest.note";

const number = (chunk: number): string => String(chunk).padStart(6, "0");
export const recordsPath = (chunk: number): string => `records/${number(chunk)}.jsonl.gz`;
/** Lists the chunk's payload files as sha256sum writes them; the manifest lists this file. */
export const payloadSumsPath = (chunk: number): string => `payloads/${number(chunk)}.sha256`;
export const payloadPath = (call: string, field: PayloadField): string => `payloads/${call}/${field}`;
/** Stands before the payload: the commitment is an HMAC under it. */
export const saltPath = (call: string, field: PayloadField): string => `payloads/${call}/${field}.salt`;
export const anchorPath = (name: string): string => `anchors/${name}`;
export const viewPath = (name: string): string => `views/${name}`;

/** The line that sha256sum writes, and takes with -c. */
export const sumLine = (sha256: string, path: string): string => `${sha256}  ${path}\n`;

export type BundlePath =
  | { readonly kind: "guide" | "scope" | "start" | "end" | "left-edge" | "history" | "manifest" | "manifest-note" }
  | { readonly kind: "anchor" | "view"; readonly name: string }
  | { readonly kind: "records"; readonly chunk: number }
  | { readonly kind: "payload-sums"; readonly chunk: number }
  | { readonly kind: "salt" | "payload"; readonly call: string; readonly field: PayloadField };

export type BundleFile = BundlePath["kind"];

const FIXED: Readonly<Record<string, BundlePath>> = {
  [GUIDE_PATH]: { kind: "guide" },
  [SCOPE_PATH]: { kind: "scope" },
  [START_PATH]: { kind: "start" },
  [END_PATH]: { kind: "end" },
  [LEFT_EDGE_PATH]: { kind: "left-edge" },
  [HISTORY_PATH]: { kind: "history" },
  [MANIFEST_PATH]: { kind: "manifest" },
  [MANIFEST_NOTE_PATH]: { kind: "manifest-note" },
};

const PAYLOAD = new RegExp(`^payloads/(call_[0-9a-f]{32})/(${PAYLOAD_FIELDS.join("|")})(\\.salt)?$`);
const NUMBERED = /^(records|payloads)\/([0-9]{6}|[1-9][0-9]{6,8})\.(jsonl\.gz|sha256)$/;
const NAMED = /^(anchors|views)\/([A-Za-z0-9][A-Za-z0-9._-]{0,79})$/;

/** @returns undefined for every path that a bundle cannot have: absolute ones, `..`, folders, anything of another shape */
export function parseBundlePath(path: string): BundlePath | undefined {
  if (Object.hasOwn(FIXED, path)) return FIXED[path];
  const payload = PAYLOAD.exec(path);
  if (payload !== null) {
    const [, call, field, salt] = payload as unknown as [string, string, PayloadField, string | undefined];
    return { kind: salt === undefined ? "payload" : "salt", call, field };
  }
  const [, folder, digits, ending] = NUMBERED.exec(path) ?? [];
  if (folder === "records" && ending === "jsonl.gz") return { kind: "records", chunk: Number(digits) };
  if (folder === "payloads" && ending === "sha256") return { kind: "payload-sums", chunk: Number(digits) };
  const [, room, name] = NAMED.exec(path) ?? [];
  if (room === undefined || name === undefined) return undefined;
  return { kind: room === "anchors" ? "anchor" : "view", name };
}

/** The order of files. The three of a chunk come again for every chunk. */
const ORDER: Readonly<Record<BundleFile, number>> = {
  guide: 0,
  scope: 1,
  start: 2,
  end: 3,
  "left-edge": 4,
  history: 5,
  anchor: 6,
  records: 7,
  salt: 7,
  payload: 7,
  "payload-sums": 7,
  view: 8,
  manifest: 9,
  "manifest-note": 10,
};

/** Whether `next` may follow `last`; which file of a chunk may follow which is for the reader of chunks to say. */
export function mayFollow(last: BundleFile | undefined, next: BundleFile): boolean {
  if (last === undefined) return next === "guide";
  const step = ORDER[next] - ORDER[last];
  return step > 0 || (step === 0 && (next === "anchor" || next === "view" || ORDER[next] === ORDER.records));
}
