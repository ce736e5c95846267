import type { Buffer } from "node:buffer";
import { BodyReader } from "./body-reader.ts";
import { PostgresProtocolError } from "./protocol-error.ts";

/** What a client says. All throw PostgresProtocolError. */

/** Codes that stand where a version would (src/include/libpq/pqcomm.h). */
export const CANCEL_REQUEST = 80_877_102;
export const SSL_REQUEST = 80_877_103;
export const GSSENC_REQUEST = 80_877_104;
export const PROTOCOL_3_0 = 196_608;

export type StartupPacket =
  | { readonly kind: "ssl" }
  | { readonly kind: "gssenc" }
  | { readonly kind: "cancel"; readonly pid: number; readonly key: Buffer }
  | { readonly kind: "startup"; readonly minor: number; readonly parameters: ReadonlyMap<string, string> };

/** A key is 4 bytes in protocol 3.0 and up to 256 in 3.2. */
const MAX_KEY = 256;

export function parseStartup(body: Buffer): StartupPacket {
  const reader = new BodyReader(body);
  const code = reader.int32();
  switch (code) {
    case SSL_REQUEST:
      reader.done();
      return { kind: "ssl" };
    case GSSENC_REQUEST:
      reader.done();
      return { kind: "gssenc" };
    case CANCEL_REQUEST: {
      const pid = reader.int32();
      if (reader.left < 4 || reader.left > MAX_KEY) throw new PostgresProtocolError("a cancel key has no good length");
      return { kind: "cancel", pid, key: reader.rest() };
    }
  }
  if (code >>> 16 !== 3) throw new PostgresProtocolError("only version 3 of the protocol is spoken here");
  const parameters = new Map<string, string>();
  for (let name = reader.text(); name !== ""; name = reader.text()) {
    // Another reader may take the first of two.
    if (parameters.has(name)) throw new PostgresProtocolError("a parameter of the start-up stands twice");
    parameters.set(name, reader.text());
  }
  reader.done();
  return { kind: "startup", minor: code & 0xffff, parameters };
}

export function parseQuery(body: Buffer): string {
  const reader = new BodyReader(body);
  const sql = reader.text();
  reader.done();
  return sql;
}

export interface ParseMessage {
  readonly name: string;
  readonly sql: string;
  /** OIDs of the parameters' types; 0: the database finds out. */
  readonly types: readonly number[];
}

export function parseParse(body: Buffer): ParseMessage {
  const reader = new BodyReader(body);
  const name = reader.text();
  const sql = reader.text();
  const types = Array.from({ length: reader.uint16() }, () => reader.uint32());
  reader.done();
  return { name, sql, types };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  /** 0 text, 1 binary: none (all are text), one for all, or one for each. */
  readonly formats: readonly number[];
  readonly parameters: readonly (Buffer | null)[];
  readonly resultFormats: readonly number[];
}

export function parseBind(body: Buffer): BindMessage {
  const reader = new BodyReader(body);
  const portal = reader.text();
  const statement = reader.text();
  const formats = readFormats(reader);
  const parameters = Array.from({ length: reader.uint16() }, () => {
    const length = reader.int32();
    if (length < -1) throw new PostgresProtocolError("a parameter has no good length");
    return length === -1 ? null : reader.bytes(length);
  });
  if (formats.length > 1 && formats.length !== parameters.length) {
    throw new PostgresProtocolError("there are not as many formats as parameters");
  }
  const resultFormats = readFormats(reader);
  reader.done();
  return { portal, statement, formats, parameters, resultFormats };
}

function readFormats(reader: BodyReader): number[] {
  return Array.from({ length: reader.uint16() }, () => {
    const format = reader.int16();
    if (format !== 0 && format !== 1) throw new PostgresProtocolError("there is no such format");
    return format;
  });
}

export interface NamedObject {
  /** A prepared statement or a portal. */
  readonly what: "S" | "P";
  readonly name: string;
}

function parseNamed(body: Buffer): NamedObject {
  const reader = new BodyReader(body);
  const what = String.fromCharCode(reader.byte());
  if (what !== "S" && what !== "P") throw new PostgresProtocolError("a message names neither a statement nor a portal");
  const name = reader.text();
  reader.done();
  return { what, name };
}
export const parseDescribe: (body: Buffer) => NamedObject = parseNamed;
export const parseClose: (body: Buffer) => NamedObject = parseNamed;

export interface ExecuteMessage {
  readonly portal: string;
  /** 0: all. */
  readonly maxRows: number;
}

export function parseExecute(body: Buffer): ExecuteMessage {
  const reader = new BodyReader(body);
  const portal = reader.text();
  const maxRows = reader.int32();
  reader.done();
  return { portal, maxRows };
}
