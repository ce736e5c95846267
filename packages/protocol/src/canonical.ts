/**
 * JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code units, no white space, numbers and strings as
 * ECMAScript writes them. hoopish's records use a part of it: no floats, integers within ±(2^53−1).
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * `numbers` writes the numbers, and may refuse some.
 * @throws TypeError for what JCS cannot carry: NaN, infinities, lone surrogates, functions, undefined in arrays.
 */
export function canonicalize(value: Json, numbers: (value: number) => string = canonicalNumber): string {
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number") return numbers(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return canonicalArray(value, numbers);
  if (typeof value === "object") return canonicalObject(value as JsonObject, numbers);
  throw new TypeError(`JCS: a ${typeof value} has no JSON form`);
}

type JsonObject = { readonly [key: string]: Json | undefined };

function canonicalArray(value: readonly Json[], numbers: (value: number) => string): string {
  let out = "[";
  // By index: map and join would pass over a hole, which has no JSON form.
  for (let i = 0; i < value.length; i++) out += `${i > 0 ? "," : ""}${canonicalize(value[i] as Json, numbers)}`;
  return `${out}]`;
}

function canonicalObject(value: JsonObject, numbers: (value: number) => string): string {
  let out = "{";
  for (const key of sortedKeys(value)) {
    const member = value[key];
    if (member === undefined) continue;
    out += `${out.length > 1 ? "," : ""}${canonicalString(key)}:${canonicalize(member, numbers)}`;
  }
  return `${out}}`;
}

/** `<` and Array.prototype.sort without a comparator compare UTF-16 code units: exactly RFC 8785 §3.2.3. */
function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  for (let i = 1; i < keys.length; i++) if ((keys[i - 1] as string) > (keys[i] as string)) return keys.sort();
  return keys;
}

function canonicalNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError("JCS: NaN and infinities have no JSON form");
  // String(-0) is "0", as RFC 8785 §3.2.2.3 has it.
  return String(value);
}

/** Printable ASCII that JSON writes as it is: nearly every string of a record, and five times as fast to see as to quote. */
const PLAIN = /^[ !#-[\]-~]*$/;

function canonicalString(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw new TypeError("JCS: a lone surrogate has no UTF-8 form");
  return JSON.stringify(value);
}
