import { Buffer } from "node:buffer";
import type { BindMessage } from "./frontend.ts";
import { CANCEL_REQUEST, PROTOCOL_3_0, SSL_REQUEST } from "./frontend.ts";

/** Messages of both sides, as they stand on the wire. Texts must hold no NUL: what follows one would be another field. */

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
};

/** @throws RangeError for a NUL */
function text(value: string): Buffer {
  if (value.includes("\0")) throw new RangeError("a text with a NUL cannot stand in a message");
  return Buffer.from(`${value}\0`, "utf8");
}

/** A message of this type with these parts as its body. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  let length = 4;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  bytes[0] = type.charCodeAt(0);
  bytes.writeInt32BE(length, 1);
  let at = 5;
  for (const part of parts) at += part.copy(bytes, at);
  return bytes;
}

function packet(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}

// --- what a database says ---

export const authenticationOk = (): Buffer => message("R", int32(0));
export const parameterStatus = (name: string, value: string): Buffer => message("S", text(name), text(value));
export const backendKeyData = (pid: number, key: Buffer): Buffer => message("K", int32(pid), key);
export const readyForQuery = (status: string): Buffer => message("Z", Buffer.from(status, "latin1"));
export const commandComplete = (tag: string): Buffer => message("C", text(tag));

/** @param minor the newest minor version that is spoken @param unknown options of the client that are not */
export const negotiateProtocolVersion = (minor: number, unknown: readonly string[]): Buffer =>
  message("v", int32(PROTOCOL_3_0 + minor), int32(unknown.length), ...unknown.map(text));

/** Fields by their letter; see appendix "Error and Notice Message Fields". A NUL in one is left out. */
export const errorResponse = (fields: Readonly<Record<string, string>>): Buffer => noticeLike("E", fields);
export const noticeResponse = (fields: Readonly<Record<string, string>>): Buffer => noticeLike("N", fields);

function noticeLike(type: string, fields: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(fields).map(([letter, value]) => text(`${letter}${value.replaceAll("\0", "")}`));
  return message(type, ...parts, Buffer.from([0]));
}

export const notificationResponse = (pid: number, channel: string, payload: string): Buffer =>
  message("A", int32(pid), text(channel), text(payload));

/** Cells as they stand in a row: text or binary; null is NULL. */
export function dataRow(cells: readonly (Buffer | null)[]): Buffer {
  return message(
    "D",
    int16(cells.length),
    ...cells.flatMap((cell) => (cell === null ? [int32(-1)] : [int32(cell.length), cell])),
  );
}

export function rowDescription(
  columns: readonly { readonly name: string; readonly typeOid: number; readonly format?: number }[],
): Buffer {
  const parts = columns.flatMap(({ name, typeOid, format }) => [
    ...[text(name), int32(0), int16(0), int32(typeOid), int16(-1), int32(-1), int16(format ?? 0)],
  ]);
  return message("T", int16(columns.length), ...parts);
}

// --- what a client says ---

/** @param parameters name, value, name, value … */
export const startup = (parameters: readonly string[]): Buffer =>
  packet(int32(PROTOCOL_3_0), ...parameters.map(text), Buffer.from([0]));
export const sslRequest = (): Buffer => packet(int32(SSL_REQUEST));
export const cancelRequest = (pid: number, key: Buffer): Buffer => packet(int32(CANCEL_REQUEST), int32(pid), key);
export const passwordMessage = (password: string): Buffer => message("p", text(password));
export const saslInitialResponse = (mechanism: string, data: Buffer): Buffer =>
  message("p", text(mechanism), int32(data.length), data);
export const saslResponse = (data: Buffer): Buffer => message("p", data);
export const query = (sql: string): Buffer => message("Q", text(sql));
export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  message("P", text(name), text(sql), int16(types.length), ...types.map(int32));

export function bind({ portal, statement, formats, parameters, resultFormats }: BindMessage): Buffer {
  return message(
    "B",
    ...[text(portal), text(statement), int16(formats.length), ...formats.map(int16), int16(parameters.length)],
    ...parameters.flatMap((value) => (value === null ? [int32(-1)] : [int32(value.length), value])),
    ...[int16(resultFormats.length), ...resultFormats.map(int16)],
  );
}

export const describe = (what: "S" | "P", name: string): Buffer =>
  message("D", Buffer.from(what, "latin1"), text(name));
export const close = (what: "S" | "P", name: string): Buffer => message("C", Buffer.from(what, "latin1"), text(name));
export const execute = (portal: string, maxRows = 0): Buffer => message("E", text(portal), int32(maxRows));
export const sync = (): Buffer => message("S");
export const flush = (): Buffer => message("H");
export const terminate = (): Buffer => message("X");
export const copyData = (data: Buffer): Buffer => message("d", data);
export const copyDone = (): Buffer => message("c");
