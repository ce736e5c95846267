import { PAYLOAD_FIELDS } from "../../record.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const CLOSE_BRACE = 0x7d;
const C = Buffer.from(':{"c":"');
const LEN = Buffer.from('","len":');
/** 32 bytes in base64: 43 characters and the padding. */
export const COMMITMENT_CHARS = 44;

const FIELDS: readonly Buffer[] = PAYLOAD_FIELDS.map((field) => Buffer.from(`"${field}"`));
const BASE64: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9+/]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

/**
 * Reads a record's `payloads`, `{"<field>":{"c":"<base64>","len":<integer>},…}`, where it stands: it is canonical, so
 * each commitment has one form only.
 * @param take gets the field's place in PAYLOAD_FIELDS, where the 44 characters of `c` begin, and `len`
 * @returns false when it is anything else
 */
export function readCommitments(
  bytes: Buffer,
  from: number,
  to: number,
  take: (field: number, c: number, len: number) => void,
): boolean {
  if (to - from === 2) return bytes[from + 1] === CLOSE_BRACE;
  for (let at = from + 1; ; ) {
    const field = FIELDS.findIndex((name) => startsWith(bytes, at, name));
    if (field === -1) return false;
    at += (FIELDS[field] as Buffer).length;
    if (!startsWith(bytes, at, C)) return false;
    const c = at + C.length;
    at = c + COMMITMENT_CHARS;
    if (!isBase64Hash(bytes, c) || !startsWith(bytes, at, LEN)) return false;
    at += LEN.length;
    const digits = at;
    let len = 0;
    for (let byte = bytes[at] as number; byte >= ZERO && byte <= NINE; byte = bytes[++at] as number) {
      len = len * 10 + (byte - ZERO);
    }
    if (at === digits || bytes[at++] !== CLOSE_BRACE) return false;
    take(field, c, len);
    const next = bytes[at++];
    if (next === CLOSE_BRACE) return at === to;
    if (next !== COMMA || bytes[at] !== QUOTE) return false;
  }
}

function startsWith(bytes: Buffer, at: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

function isBase64Hash(bytes: Buffer, at: number): boolean {
  for (let i = 0; i < COMMITMENT_CHARS - 1; i++) if (BASE64[bytes[at + i] as number] !== 1) return false;
  return bytes[at + COMMITMENT_CHARS - 1] === 0x3d;
}
