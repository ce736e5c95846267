import { TimestampError } from "./timestamp-error.ts";

/**
 * The part of DER (ITU-T X.690) that timestamps and certificates need. Strict: one encoding for each value, lengths
 * definite and minimal, nothing after the end. What is read comes from whoever answers the request or wrote the file, so
 * nothing recurses over it: a reader asks for the element that must come next, and the depth is that of the caller's code.
 */

/** Identifier octets. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Context-specific, primitive. */
  implicit: (number: number): number => 0x80 | number,
  /** Context-specific, constructed. */
  context: (number: number): number => 0xa0 | number,
} as const;

export interface Element {
  readonly tag: number;
  /** Identifier, length and content. */
  readonly whole: Buffer;
  readonly content: Buffer;
}

/** Elements one after the other, taken in order. Every method throws TimestampError malformed. */
export class Elements {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  get empty(): boolean {
    return this.#rest.length === 0;
  }

  /** The next element, which must have this tag. */
  take(tag: number): Element {
    const element = this.takeIf(tag);
    if (element === undefined) throw malformed("an element is missing or of another type");
    return element;
  }

  /** The next element where it has this tag, for OPTIONAL and DEFAULT. */
  takeIf(tag: number): Element | undefined {
    return this.#rest[0] === tag ? this.takeAny() : undefined;
  }

  takeAny(): Element {
    const element = readElement(this.#rest);
    this.#rest = this.#rest.subarray(element.whole.length);
    return element;
  }

  /** All that is left, at most `max` elements. */
  takeAll(max: number): Element[] {
    const all: Element[] = [];
    while (!this.empty) {
      if (all.length === max) throw malformed(`more than ${max} elements`);
      all.push(this.takeAny());
    }
    return all;
  }

  end(): void {
    if (!this.empty) throw malformed("something stands after the end");
  }
}

/** One element of this tag and nothing after it. @throws TimestampError malformed */
export function readOnly(bytes: Buffer, tag: number): Element {
  const elements = new Elements(bytes);
  const element = elements.take(tag);
  elements.end();
  return element;
}

/** What an element holds, where that is elements. */
export function inside(element: Element): Elements {
  return new Elements(element.content);
}

/** X.690 §8.1.2, §8.1.3, §10.1. */
function readElement(bytes: Buffer): Element {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw malformed("it ends too early");
  // Tag numbers from 31 on; nothing here has one.
  if ((tag & 0x1f) === 0x1f) throw malformed("a tag of more than one byte");
  const { length, header } = readLength(bytes, first);
  if (bytes.length < header + length) throw malformed("it ends too early");
  const whole = bytes.subarray(0, header + length);
  return { tag, whole, content: whole.subarray(header) };
}

function readLength(bytes: Buffer, first: number): { length: number; header: number } {
  if (first < 0x80) return { length: first, header: 2 };
  const octets = first & 0x7f;
  // 0x80 is the indefinite form, which DER does not have; more than three octets are larger than any limit of ours.
  if (octets === 0 || octets > 3) throw malformed("a length that DER does not have, or too large");
  if (bytes.length < 2 + octets) throw malformed("it ends too early");
  const length = bytes.readUIntBE(2, octets);
  if (length < 0x80 || length < 2 ** (8 * (octets - 1))) throw malformed("a length that is not minimal");
  return { length, header: 2 + octets };
}

/** The content octets of a minimal INTEGER (X.690 §8.3.2). */
export function integerOf(element: Element): Buffer {
  const [first, second] = element.content;
  if (first === undefined) throw malformed("a number without digits");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw malformed("a number that is not minimal");
  }
  return element.content;
}

/** An INTEGER that fits into 31 bits and is not negative: versions, statuses, counts. */
export function smallIntegerOf(element: Element): number {
  const digits = integerOf(element);
  if (digits.length > 4 || (digits[0] ?? 0x80) >= 0x80) throw malformed("a number out of range");
  return digits.readUIntBE(0, digits.length);
}

export function booleanOf(element: Element): boolean {
  const [value, more] = element.content;
  if (more !== undefined || (value !== 0 && value !== 0xff)) throw malformed("a truth value that DER does not have");
  return value === 0xff;
}

/** `1.2.840.113549` (X.690 §8.19). */
export function oidOf(element: Element): string {
  const arcs: number[] = [];
  let arc = 0;
  let open = false;
  for (const octet of element.content) {
    if (!open && octet === 0x80) throw malformed("an object identifier that is not minimal");
    arc = arc * 128 + (octet & 0x7f);
    if (!Number.isSafeInteger(arc)) throw malformed("an object identifier out of range");
    open = octet >= 0x80;
    if (open) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [head] = arcs;
  if (open || head === undefined) throw malformed("an object identifier that does not end");
  const top = Math.min(Math.floor(head / 40), 2);
  return [top, head - top * 40, ...arcs.slice(1)].join(".");
}

/** GeneralizedTime in the one form of RFC 3161 §2.4.2 → Unix milliseconds; finer digits are dropped. */
export function generalizedTimeOf(element: Element): number {
  const text = element.content.toString("latin1");
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d*[1-9]))?Z$/.exec(text);
  if (match === null) throw malformed("a time that DER does not have");
  const [, year, month, day, hour, minute, second, fraction = ""] = match;
  const written = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const ms = Date.parse(`${written}Z`);
  // Date.parse takes 20260230 for the 2nd of March.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(written))
    throw malformed("a time that does not exist");
  return ms + Number(fraction.padEnd(3, "0").slice(0, 3));
}

/** One element in DER. */
export function encode(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  if (length > 0xffff) throw new RangeError("an element of at most 65535 bytes can be encoded");
  const lengthOctets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthOctets]), ...content]);
}

/** A number that is not negative, from its big-endian digits. */
export function encodeUnsigned(digits: Uint8Array): Buffer {
  const first = digits.findIndex((digit) => digit !== 0);
  const minimal = first < 0 ? Buffer.alloc(1) : Buffer.from(digits.subarray(first));
  return encode(Tag.integer, (minimal[0] ?? 0) < 0x80 ? minimal : Buffer.concat([Buffer.alloc(1), minimal]));
}

export function encodeOid(oid: string): Buffer {
  const [first = 0, second = 0, ...rest] = oid.split(".").map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return encode(Tag.oid, Buffer.from(octets));
}

export function malformed(what: string): TimestampError {
  return new TimestampError("malformed", `this is not an RFC 3161 timestamp: ${what}`);
}
