import type { Leaf } from "../../evidence/store.ts";
import { type IndexEntry, indexEntry } from "./index-entry.ts";

/**
 * A batch as it crosses to the writer's thread: one run of bytes in shared memory, because structured clone of the same
 * objects costs both threads several times as much. Numbers are little-endian; texts are u16 or u32 length + UTF-8.
 *
 *   u32 records · u32 rows · u32 bytes of changes (JSON) · f64 index of the first record
 *   record: u8 type · u8 verdict · f64 time · u32 leaf · u16 call · u16 session · u16 user · u16 connection · the five texts
 *   row:    f64 call key · u8 field · u8 salt bytes · u8 retention class · u8 0 · u16 month · u16 0 · u32 ms · u32 bytes ·
 *           salt · bytes
 */
const HEAD = 20;
const RECORD_HEAD = 22;
const ROW_HEAD = 24;

/** What a piece of a payload is part of, and when it came. */
export interface PieceFacts {
  /** Index of the record that decided the call. */
  readonly callKey: number;
  readonly field: number;
  /** Retention class, and the month in which the call was decided: see keys.ts. */
  readonly retention: number;
  readonly month: number;
  /** Milliseconds since the call was decided. */
  readonly atMs: number;
}

/** A piece of a payload on its way into the vault. */
export interface VaultRow extends PieceFacts {
  readonly bytes: readonly Uint8Array[];
  readonly length: number;
  readonly salt: Uint8Array | undefined;
}

/** A batch with everything numbered. */
export interface NumberedBatch {
  readonly firstIndex: number;
  readonly leaves: readonly Leaf[];
  readonly rows: readonly VaultRow[];
  /** JSON. */
  readonly changes: Buffer;
}

/** Bytes that the packed batch needs, at most. `exact` looks at every character; without it, each is taken for 3 bytes. */
export function packedSize(batch: NumberedBatch, exact: boolean): number {
  let size = HEAD + batch.changes.length;
  // Names and ids stand in the leaf too, so twice the leaf covers all.
  for (const { text } of batch.leaves) size += RECORD_HEAD + 2 * (exact ? Buffer.byteLength(text) : text.length * 3);
  for (const row of batch.rows) size += ROW_HEAD + (row.salt?.byteLength ?? 0) + row.length;
  return size;
}

/** Writes `batch` into `out`, which has packedSize bytes; returns the length. */
export function packBatch({ firstIndex, leaves, rows, changes }: NumberedBatch, out: Buffer): number {
  out.writeUInt32LE(leaves.length, 0);
  out.writeUInt32LE(rows.length, 4);
  out.writeUInt32LE(changes.length, 8);
  out.writeDoubleLE(firstIndex, 12);
  let at = HEAD;
  for (const leaf of leaves) at = packRecord(leaf.text, indexEntry(leaf.draft, leaf.timeMs), out, at);
  for (const row of rows) at = packRow(row, out, at);
  out.set(changes, at);
  return at + changes.length;
}

function packRecord(text: string, entry: IndexEntry, out: Buffer, start: number): number {
  out[start] = entry.type;
  out[start + 1] = entry.verdict;
  out.writeDoubleLE(entry.timeMs, start + 2);
  let at = start + RECORD_HEAD;
  const leaf = out.write(text, at);
  out.writeUInt32LE(leaf, start + 10);
  at += leaf;
  const call = entry.call === "" ? 0 : out.write(entry.call, at, "latin1");
  out.writeUInt16LE(call, start + 14);
  at += call;
  const session = entry.session === "" ? 0 : out.write(entry.session, at, "latin1");
  out.writeUInt16LE(session, start + 16);
  at += session;
  const user = entry.user === "" ? 0 : out.write(entry.user, at);
  out.writeUInt16LE(user, start + 18);
  at += user;
  const connection = entry.connection === "" ? 0 : out.write(entry.connection, at);
  out.writeUInt16LE(connection, start + 20);
  return at + connection;
}

function packRow(row: VaultRow, out: Buffer, start: number): number {
  const salt = row.salt?.byteLength ?? 0;
  out.writeDoubleLE(row.callKey, start);
  out[start + 8] = row.field;
  out[start + 9] = salt;
  out[start + 10] = row.retention;
  out.writeUInt16LE(row.month, start + 12);
  out.writeUInt32LE(Math.min(row.atMs, MAX_U32), start + 16);
  out.writeUInt32LE(row.length, start + 20);
  let at = start + ROW_HEAD;
  if (row.salt !== undefined) out.set(row.salt, at);
  at += salt;
  for (const piece of row.bytes) {
    out.set(piece, at);
    at += piece.byteLength;
  }
  return at;
}

const MAX_U32 = 2 ** 32 - 1;

/** Takes a packed batch apart. What it hands out lies in `bytes`, and is good only until the call returns. */
export interface BatchSink {
  record(index: number, leaf: Buffer, entry: IndexEntry): void;
  row(facts: PieceFacts, bytes: Buffer, salt: Buffer | undefined): void;
  changes(changes: readonly object[]): void;
}

export function readBatch(bytes: Buffer, sink: BatchSink): void {
  const records = bytes.readUInt32LE(0);
  const rows = bytes.readUInt32LE(4);
  const changes = bytes.readUInt32LE(8);
  const first = bytes.readDoubleLE(12);
  let at = HEAD;
  for (let i = 0; i < records; i++) at = readRecord(bytes, at, first + i, sink);
  for (let i = 0; i < rows; i++) at = readRow(bytes, at, sink);
  if (changes > 0) sink.changes(JSON.parse(bytes.toString("utf8", at, at + changes)) as object[]);
}

function readRecord(bytes: Buffer, start: number, index: number, sink: BatchSink): number {
  const leafEnd = start + RECORD_HEAD + bytes.readUInt32LE(start + 10);
  const callEnd = leafEnd + bytes.readUInt16LE(start + 14);
  const sessionEnd = callEnd + bytes.readUInt16LE(start + 16);
  const userEnd = sessionEnd + bytes.readUInt16LE(start + 18);
  const end = userEnd + bytes.readUInt16LE(start + 20);
  sink.record(index, bytes.subarray(start + RECORD_HEAD, leafEnd), {
    type: bytes[start] as number,
    timeMs: bytes.readDoubleLE(start + 2),
    call: bytes.toString("latin1", leafEnd, callEnd),
    session: bytes.toString("latin1", callEnd, sessionEnd),
    user: bytes.toString("utf8", sessionEnd, userEnd),
    connection: bytes.toString("utf8", userEnd, end),
    verdict: bytes[start + 1] as number,
  });
  return end;
}

function readRow(bytes: Buffer, start: number, sink: BatchSink): number {
  const salt = start + ROW_HEAD;
  const data = salt + (bytes[start + 9] as number);
  const end = data + bytes.readUInt32LE(start + 20);
  sink.row(
    {
      callKey: bytes.readDoubleLE(start),
      field: bytes[start + 8] as number,
      retention: bytes[start + 10] as number,
      month: bytes.readUInt16LE(start + 12),
      atMs: bytes.readUInt32LE(start + 16),
    },
    bytes.subarray(data, end),
    data === salt ? undefined : bytes.subarray(salt, data),
  );
  return end;
}
