import type { Buffer } from "node:buffer";
import { BodyReader, int32At } from "./body-reader.ts";
import { PostgresProtocolError } from "./protocol-error.ts";

/** What a database says. All throw PostgresProtocolError. */

export interface ColumnDescription {
  readonly name: string;
  readonly tableOid: number;
  /** Number of the column in its table; 0: it is none of a table. */
  readonly column: number;
  readonly typeOid: number;
  readonly typeSize: number;
  readonly modifier: number;
  /** 0 text, 1 binary. */
  readonly format: number;
}

export function parseRowDescription(body: Buffer): ColumnDescription[] {
  const reader = new BodyReader(body);
  const columns = Array.from({ length: reader.uint16() }, () => ({
    name: reader.text(),
    tableOid: reader.uint32(),
    column: reader.int16(),
    typeOid: reader.uint32(),
    typeSize: reader.int16(),
    modifier: reader.int32(),
    format: reader.int16(),
  }));
  reader.done();
  return columns;
}

/**
 * Where the cells of a DataRow stand in its body: start and length of each, one after another, into `into`; a length of -1 is
 * NULL. Without an object a cell: there are millions.
 * @returns how many cells it has
 */
export function locateCells(bytes: Buffer, into: Int32Array, from = 0, end: number = bytes.length): number {
  if (end - from < 2) throw new PostgresProtocolError("a row is too short");
  const count = ((bytes[from] as number) << 8) | (bytes[from + 1] as number);
  if (count * 2 > into.length) throw new PostgresProtocolError("a row has more cells than were described");
  let at = from + 2;
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) throw new PostgresProtocolError("a row is shorter than what is in it");
    const length = int32At(bytes, at);
    at += 4;
    into[i * 2] = at;
    into[i * 2 + 1] = length;
    if (length < -1) throw new PostgresProtocolError("a cell has no good length");
    // Compared before it is added: the sum of two good numbers may be none.
    if (length > end - at) throw new PostgresProtocolError("a row is shorter than what is in it");
    if (length > 0) at += length;
  }
  if (at !== end) throw new PostgresProtocolError("a row is longer than what is in it");
  return count;
}

/** Fields of an ErrorResponse or a NoticeResponse, by their letter. */
export function errorFields(body: Buffer): Map<string, string> {
  const reader = new BodyReader(body);
  const fields = new Map<string, string>();
  for (let type = reader.byte(); type !== 0; type = reader.byte()) fields.set(String.fromCharCode(type), reader.text());
  reader.done();
  return fields;
}

/** Idle, in a transaction, in a failed one. */
export type TransactionStatus = "I" | "T" | "E";

export function readyStatus(body: Buffer): TransactionStatus {
  const reader = new BodyReader(body);
  const status = String.fromCharCode(reader.byte());
  reader.done();
  if (status !== "I" && status !== "T" && status !== "E") throw new PostgresProtocolError("there is no such status");
  return status;
}

export function parseParameterStatus(body: Buffer): { readonly name: string; readonly value: string } {
  const reader = new BodyReader(body);
  const name = reader.text();
  const value = reader.text();
  reader.done();
  return { name, value };
}

export function parseBackendKeyData(body: Buffer): { readonly pid: number; readonly key: Buffer } {
  const reader = new BodyReader(body);
  return { pid: reader.int32(), key: reader.rest() };
}

export type Authentication =
  | { readonly kind: "ok" }
  | { readonly kind: "cleartext" }
  | { readonly kind: "md5"; readonly salt: Buffer }
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "sasl-continue"; readonly data: Buffer }
  | { readonly kind: "sasl-final"; readonly data: Buffer }
  /** Kerberos, GSSAPI, SSPI and the like. */
  | { readonly kind: "other"; readonly code: number };

export function parseAuthentication(body: Buffer): Authentication {
  const reader = new BodyReader(body);
  const code = reader.int32();
  switch (code) {
    case 0:
      return { kind: "ok" };
    case 3:
      return { kind: "cleartext" };
    case 5:
      return { kind: "md5", salt: reader.bytes(4) };
    case 10: {
      const mechanisms: string[] = [];
      for (let name = reader.text(); name !== ""; name = reader.text()) mechanisms.push(name);
      return { kind: "sasl", mechanisms };
    }
    case 11:
      return { kind: "sasl-continue", data: reader.rest() };
    case 12:
      return { kind: "sasl-final", data: reader.rest() };
    default:
      return { kind: "other", code };
  }
}

export function parseNotification(body: Buffer): {
  readonly pid: number;
  readonly channel: string;
  readonly payload: string;
} {
  const reader = new BodyReader(body);
  const pid = reader.int32();
  const channel = reader.text();
  const payload = reader.text();
  reader.done();
  return { pid, channel, payload };
}
