import { Buffer } from "node:buffer";

/** Beginnings of protocols that no web page can be made to speak: what they say is the server's to judge. */

/** RFC 9113 §3.4: how a client of HTTP/2 begins that knows the server (gRPC without TLS). */
const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** PostgreSQL's longest start-up packet. */
const MAX_START_UP = 10_000;
/** Cancel, TLS and GSSAPI encryption are asked for by codes of this "version". */
const REQUEST_MAJOR = 1234;
const VERSION_MAJOR = 3;

export type Beginning = "http" | "http2" | "postgres" | "more";

/** `more`: it may still be any of several. */
export function beginningOf(bytes: Buffer): Beginning {
  const seen = Math.min(bytes.length, HTTP2_PREFACE.length);
  if (bytes.subarray(0, seen).equals(HTTP2_PREFACE.subarray(0, seen))) {
    return seen === HTTP2_PREFACE.length ? "http2" : "more";
  }
  if (bytes[0] !== 0) return "http";
  if (bytes.length < 8) return "more";
  const length = bytes.readInt32BE(0);
  const major = bytes.readUInt16BE(4);
  const known = major === VERSION_MAJOR || major === REQUEST_MAJOR;
  return known && length >= 8 && length <= MAX_START_UP ? "postgres" : "http";
}

/** What a client of PostgreSQL is told where it cannot be let in: an ErrorResponse, 57P03 (cannot connect now). */
export function postgresRefusal(message: string): Buffer {
  const fields = ["SFATAL", "VFATAL", "C57P03", `Mhoopish: ${message}`].map((field) => `${field}\0`).join("");
  const body = Buffer.from(`${fields}\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
