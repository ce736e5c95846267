/** Protocol Buffers as bytes (https://protobuf.dev/programming-guides/encoding/), read strictly. */

/** Bytes that are no protobuf message, or one of another kind than is read here. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

export const VARINT = 0;
export const FIXED64 = 1;
export const DELIMITED = 2;
export const FIXED32 = 5;

/** Messages in messages; protobuf's own libraries stop there, too. */
export const MAX_DEPTH = 100;
const MAX_LENGTH = 0x7fffffff;

/**
 * Goes over the fields of one message, and says where each value stands. Nothing is copied; groups are refused, because
 * their end is known only by reading what no schema may describe.
 */
export class WireReader {
  readonly bytes: Buffer;
  readonly end: number;
  /** Of the field that `next` went over. */
  number = 0;
  wire = 0;
  /** Where its tag begins. */
  start = 0;
  /** Where its tag has ended: a length, or the value itself. */
  afterTag = 0;
  /** Where its value stands, a length before it not counted. */
  from = 0;
  to: number;

  constructor(bytes: Buffer, from = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.end = end;
    this.to = from;
  }

  /** @returns false at the end. @throws ProtobufError */
  next(): boolean {
    const { bytes, end } = this;
    let at = this.to;
    if (at >= end) return false;
    this.start = at;
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      this.to = this.start;
      tag = this.#small(5);
      at = this.to;
    }
    const wire = tag & 7;
    const number = tag >>> 3;
    if (number === 0) throw new ProtobufError("a field has the number 0");
    this.number = number;
    this.wire = wire;
    this.afterTag = at;
    this.from = at;
    switch (wire) {
      case VARINT:
        at = this.#afterVarint(at);
        break;
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      case DELIMITED: {
        let length = at < end ? (bytes[at] as number) : 0x80;
        if (length < 0x80) at++;
        else {
          this.to = at;
          length = this.#small(10);
          at = this.to;
        }
        if (length > MAX_LENGTH) throw new ProtobufError("a length is too large");
        this.from = at;
        at += length;
        break;
      }
      default:
        throw new ProtobufError("a field is a group, or of an unknown kind");
    }
    if (at > end) throw new ProtobufError("it breaks off");
    this.to = at;
    return true;
  }

  /** The value of a varint as an unsigned number of 64 bits; a number where it is safe. */
  varint(): number | bigint {
    return varintAt(this.bytes, this.from, this.to);
  }

  #afterVarint(from: number): number {
    const { bytes, end } = this;
    const last = Math.min(end, from + 10);
    for (let at = from; at < last; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) continue;
      if (at === from + 9 && byte > 1) throw new ProtobufError("a number has more than 64 bits");
      return at + 1;
    }
    throw new ProtobufError(end - from < 10 ? "it breaks off" : "a number has more than 64 bits");
  }

  /** An unsigned varint of 32 bits from `to` on, which is moved behind it. */
  #small(most: number): number {
    const from = this.to;
    const end = this.#afterVarint(from);
    const value = varintAt(this.bytes, from, end);
    if (end - from > most || typeof value !== "number" || value > 0xffffffff) {
      throw new ProtobufError("a tag or a length is too large");
    }
    this.to = end;
    return value;
  }
}

/** The varint that stands in `[from, to)`, unsigned: a number where it is safe. */
export function varintAt(bytes: Buffer, from: number, to: number): number | bigint {
  let value = 0;
  let scale = 1;
  const quick = Math.min(to, from + 7);
  for (let at = from; at < quick; at++) {
    value += ((bytes[at] as number) & 0x7f) * scale;
    scale *= 128;
  }
  if (to <= quick) return value;
  let large = BigInt(value);
  for (let at = quick; at < to; at++) large |= BigInt((bytes[at] as number) & 0x7f) << BigInt(7 * (at - from));
  large = BigInt.asUintN(64, large);
  return large <= Number.MAX_SAFE_INTEGER ? Number(large) : large;
}

/** Where the varint that begins at `from` ends. @throws ProtobufError when it does not end within `end` */
export function varintEnd(bytes: Buffer, from: number, end: number): number {
  const last = Math.min(end, from + 10);
  for (let at = from; at < last; at++) {
    if ((bytes[at] as number) < 0x80) {
      if (at === from + 9 && (bytes[at] as number) > 1) throw new ProtobufError("a number has more than 64 bits");
      return at + 1;
    }
  }
  throw new ProtobufError("a number in a list breaks off");
}

/** How many varints stand there one after another. @throws ProtobufError */
export function countVarints(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; count++) at = varintEnd(bytes, at, to);
  return count;
}

export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A number of 64 bits with its sign, from one without. */
export function signed64(value: number | bigint): number | bigint {
  return typeof value === "number" ? value : narrow(BigInt.asIntN(64, value));
}

/** As protobuf's sint32 and sint64 write them. */
export function zigzag(value: number | bigint): number | bigint {
  const whole = BigInt(value);
  return narrow((whole >> 1n) ^ -(whole & 1n));
}

/** A number where it is safe. */
function narrow(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
