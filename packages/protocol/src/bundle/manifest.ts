import { z } from "zod";
import { canonicalize, type Json } from "../canonical.ts";
import { MAX_HISTORY } from "./layout.ts";

/**
 * The JSON files of a bundle: JCS (RFC 8785), read strictly. `scope.json` says what was asked for; `manifest.json` says
 * the same and what came of it. The scope stands first so that a reader knows, at each payload that is not there, whether
 * it was asked for at all; nothing in it is believed before the manifest, which is signed, has said the same.
 */

/** By whose and by which calls; absent members do not restrict. `user` is the actor's name. */
export interface DisclosureFilters {
  readonly user?: string;
  readonly connection?: string;
  readonly session?: string;
}

/** A legal hold (id of a retention.held) under which payloads are kept and not disclosed, and of which calls. */
export interface WithheldUnder {
  readonly hold: string;
  readonly filters: DisclosureFilters;
}

export interface BundleScope {
  readonly v: 1;
  /** Of the log: the first line of its checkpoints. */
  readonly origin: string;
  /** Indexes [start, end). */
  readonly start: number;
  readonly end: number;
  /** As the request named them, and audit.exported repeats them. */
  readonly since: string;
  readonly until: string;
  /** Whether payloads were asked for at all. */
  readonly payloads: boolean;
  /** Payloads of other calls are left out. Every record in the range is in, always. */
  readonly filters: DisclosureFilters;
  readonly withheld: readonly WithheldUnder[];
  /** Who asked: the actor of this export's own audit.exported. */
  readonly requester: { readonly iss: string; readonly name: string; readonly sub: string };
}

export interface BundleManifest extends BundleScope {
  /**
   * By path, every file but the manifest, its note, and those that a payloads/NNNNNN.sha256 lists. `bytes`: length;
   * `sha256`: in hexadecimal.
   */
  readonly files: Readonly<Record<string, FileSum>>;
}

export interface FileSum {
  readonly bytes: number;
  readonly sha256: string;
}

/** Roots of the perfect subtrees of [0, size), base64, largest first. */
export interface LeftEdge {
  readonly size: number;
  readonly hashes: readonly string[];
}

/** One checkpoint that the log signed; `time`: when. */
export interface HistoryLine {
  readonly size: number;
  readonly root: string;
  readonly time: string;
}

const size = z.int().nonnegative();
const shortText = z.string().max(1_024);
const base64Hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
const time = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
const filters = z.strictObject({
  user: shortText.exactOptional(),
  connection: shortText.exactOptional(),
  session: shortText.exactOptional(),
});
const scope = z.strictObject({
  v: z.literal(1),
  origin: shortText.min(1),
  start: size,
  end: size,
  since: shortText,
  until: shortText,
  payloads: z.boolean(),
  filters,
  withheld: z.array(z.strictObject({ hold: shortText.min(1), filters })).max(256),
  requester: z.strictObject({ iss: shortText, name: shortText, sub: shortText }),
});
const sum = z.strictObject({ bytes: size, sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const manifest = z.strictObject({ ...scope.shape, files: z.record(shortText, sum) });
const leftEdge = z.strictObject({ size, hashes: z.array(base64Hash).max(64) });
const historyLine = z.strictObject({ root: base64Hash, size, time });

export const encodeScope = (value: BundleScope): string => canonicalize(scope.parse(value) as unknown as Json);
export const encodeManifest = (value: BundleManifest): string => canonicalize(manifest.parse(value) as unknown as Json);
export const encodeLeftEdge = (value: LeftEdge): string => canonicalize(leftEdge.parse(value));
export const encodeHistoryLine = (value: HistoryLine): string => `${canonicalize(historyLine.parse(value))}\n`;

/** @throws Error when the bytes are not the JCS form of such a value */
export const decodeScope = (bytes: Uint8Array): BundleScope => decode(scope, bytes);
export const decodeManifest = (bytes: Uint8Array): BundleManifest => decode(manifest, bytes);
export const decodeLeftEdge = (bytes: Uint8Array): LeftEdge => decode(leftEdge, bytes);

/** @throws Error when the bytes are no history: at most 65,536 lines, each JCS, of growing sizes */
export function decodeHistory(bytes: Uint8Array): HistoryLine[] {
  const text = textOf(bytes);
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const lines = text.slice(0, -1).split("\n", MAX_HISTORY + 1);
  if (lines.length > MAX_HISTORY) throw new Error(`more than ${MAX_HISTORY} checkpoints`);
  let last = -1;
  return lines.map((line) => {
    const entry = decodeText(historyLine, line);
    if (entry.size <= last) throw new Error("sizes do not grow");
    last = entry.size;
    return entry;
  });
}

/** What the scope and the manifest both say. */
export function scopeOf({ files: _, ...rest }: BundleManifest): BundleScope {
  return rest;
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  return decodeText(schema, textOf(bytes));
}

function decodeText<T>(schema: z.ZodType<T>, text: string): T {
  const value = JSON.parse(text) as Json;
  // Two names that are the same, or bytes that one parser passes over, would be two texts for two readers.
  if (canonicalize(value) !== text) throw new Error("not the JCS form");
  return schema.parse(value);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const textOf = (bytes: Uint8Array): string => decoder.decode(bytes);

/** The signed text: the origin, and the SHA-256 of manifest.json in hexadecimal. */
export const manifestText = (origin: string, sha256Hex: string): string => `${origin}\n${sha256Hex}\n`;
