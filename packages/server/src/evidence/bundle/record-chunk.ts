import { PAYLOAD_FIELDS, type PayloadField, type Payloads, type StoredRecord } from "@hoopish/protocol";
import { CHUNK_RECORDS, DisclosureRule } from "@hoopish/protocol/bundle";
import { type Part, pack } from "./packing.ts";
import type { BundleSource, WantedFields } from "./port.ts";

/** Payloads that are asked for after a chunk's records. */
export interface WantedPayloads extends WantedFields {
  /** With the salt that a record's commitment needs; or what a crash cut, to which no record commits. */
  readonly kind: "committed" | "interrupted";
}

export interface RecordChunk {
  /** records/NNNNNN.jsonl.gz, in pieces. */
  readonly packed: readonly Buffer[];
  readonly wanted: readonly WantedPayloads[];
}

/** The records of the range, 4,096 at a time. @throws Error when the source leaves a gap */
export async function* recordChunks(source: BundleSource): AsyncGenerator<RecordChunk> {
  const { start, end } = source.scope;
  const rule = new DisclosureRule(source.scope);
  for (let from = start; from < end; from += CHUNK_RECORDS) {
    yield await readChunk(source, rule, from, Math.min(from + CHUNK_RECORDS, end));
  }
}

async function readChunk(source: BundleSource, rule: DisclosureRule, from: number, to: number): Promise<RecordChunk> {
  const wanted: WantedPayloads[] = [];
  let next = from;
  async function* lines(): AsyncGenerator<Part> {
    for await (const batch of source.records(from, to)) {
      const pieces: Uint8Array[] = [];
      for (const { index, leaf } of batch) {
        if (index !== next++) throw new Error(`the log gave record ${index} in the place of ${next - 1}`);
        pieces.push(leaf, NEWLINE);
        const payloads = wantedOf(leaf, rule);
        if (payloads !== undefined) wanted.push(payloads);
      }
      yield { bytes: Buffer.concat(pieces), packed: false };
    }
  }
  const packed: Buffer[] = [];
  for await (const piece of pack(lines(), { seal: false })) packed.push(piece);
  if (next !== to) throw new Error(`the log ends before record ${next}`);
  return { packed, wanted };
}

const NEWLINE = Buffer.from("\n");
const PAYLOADS = Buffer.from('"payloads":{');
const INTERRUPTED = Buffer.from('"type":"call.interrupted"');

function wantedOf(leaf: Uint8Array, rule: DisclosureRule): WantedPayloads | undefined {
  const bytes = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength);
  // Most records have neither, and need not be parsed.
  if (!bytes.includes(PAYLOADS) && !bytes.includes(INTERRUPTED)) return undefined;
  const record = JSON.parse(bytes.toString()) as StoredRecord & {
    readonly payloads?: Payloads;
    readonly connection?: string;
  };
  const { call, payloads, actor, connection, session } = record;
  if (call === undefined || rule.of(() => ({ user: actor?.name, connection, session })) !== "disclosed")
    return undefined;
  if (record.type === "call.interrupted") return { call, fields: PAYLOAD_FIELDS, kind: "interrupted" };
  if (payloads === undefined) return undefined;
  return { call, fields: Object.keys(payloads) as PayloadField[], kind: "committed" };
}
