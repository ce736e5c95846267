import { uninspectable } from "../protobuf/leaf-mask.ts";

/** Somebody's number may stand in a column of any type that holds numbers: what counts is whether it is whole. */

const FLOAT4 = 700;
const FLOAT8 = 701;
const NUMERIC = 1700;
const ZERO = 0x30;
const EXPONENT = 0x65;
/** Digits of the numbers that are looked at: fewer are nobody's, and more neither. */
const LEAST_DIGITS = 6;
/** Floats are amounts as a rule: a whole one is somebody's number only when it is longer than most amounts. */
const LEAST_FLOAT = 100_000_000;
const MOST_DIGITS = 19;
/** `4.111111111111111e+15` is 21 characters long. */
const MOST_TEXT = 25;
/** A digit of `numeric` on the wire is one of 10,000 (src/backend/utils/adt/numeric.c). */
const NUMERIC_BASE = 10_000n;

/**
 * A whole number that is written out: `219099999`, `4.111111111111111e+15`. undefined: it is none, or too short. One with a point is
 * an amount, `1250000.00` too.
 */
export function wholeInText(type: number, bytes: Buffer, from: number, to: number): number | bigint | undefined {
  if (to - from < LEAST_DIGITS || to - from > MOST_TEXT) return undefined;
  let end = from;
  while (end < to && isDigit(bytes[end] as number)) end++;
  if (end < to) return bytes[to - 4] === EXPONENT ? whole(Number(bytes.toString("latin1", from, to))) : undefined;
  if (end - from > MOST_DIGITS) return undefined;
  const value = decimal(bytes, from, end);
  return isFloat(type) && value < LEAST_FLOAT ? undefined : value;
}

/** The same of a number in its binary form. @throws HoopishError response_uninspectable for what is none of its type */
export function wholeInBinary(type: number, bytes: Buffer, from: number, to: number): number | bigint | undefined {
  const length = to - from;
  if (type === NUMERIC) return wholeNumeric(bytes.subarray(from, to));
  if (type === FLOAT4 && length === 4) return whole(bytes.readFloatBE(from));
  if (type === FLOAT8 && length === 8) return whole(bytes.readDoubleBE(from));
  if (!isFloat(type)) {
    if (length === 2) return bytes.readInt16BE(from);
    if (length === 4) return bytes.readInt32BE(from);
    if (length === 8) return bytes.readBigInt64BE(from);
  }
  throw uninspectable("a number has no good length");
}

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= ZERO + 9;

const isFloat = (type: number): boolean => type === FLOAT4 || type === FLOAT8;

const whole = (value: number): number | undefined =>
  Number.isInteger(value) && value >= LEAST_FLOAT ? value : undefined;

/** As a number where it is exact. */
function decimal(bytes: Buffer, from: number, to: number): number | bigint {
  if (to - from > 15) return BigInt(bytes.toString("latin1", from, to));
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at] as number) - ZERO;
  return value;
}

/** Number of digits, weight of the first, sign, digits shown behind the point, and the digits; int16 each. */
function wholeNumeric(bytes: Buffer): bigint | undefined {
  if (bytes.length < 8) throw uninspectable("a number has no good length");
  const count = bytes.readUInt16BE(0);
  const weight = bytes.readInt16BE(2);
  if (bytes.length !== 8 + 2 * count) throw uninspectable("a number has no good length");
  // Digits behind the point, shown or there; or more before it than a number of anybody has.
  if (bytes.readUInt16BE(4) !== 0 || bytes.readUInt16BE(6) !== 0 || count > weight + 1 || weight > 5) return undefined;
  let value = 0n;
  for (let i = 0; i <= weight; i++)
    value = value * NUMERIC_BASE + BigInt(i < count ? bytes.readUInt16BE(8 + 2 * i) : 0);
  return value;
}
