/**
 * JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code units, no white space, numbers and strings as
 * ECMAScript writes them. hoopish's records use a part of it: no floats, integers within ±(2^53−1).
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** @throws TypeError for what JCS cannot carry: NaN, infinities, lone surrogates, functions, undefined in arrays. */
export function canonicalize(value: Json): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return canonicalNumber(value);
  if (typeof value === "string") return canonicalString(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalize(item)).join(",")}]`;
  if (typeof value === "object") return canonicalObject(value as { readonly [key: string]: Json | undefined });
  throw new TypeError(`JCS: a ${typeof value} has no JSON form`);
}

function canonicalObject(value: { readonly [key: string]: Json | undefined }): string {
  // Array.prototype.sort without a comparator compares UTF-16 code units: exactly RFC 8785 §3.2.3.
  const keys = Object.keys(value).sort();
  let out = "{";
  for (const key of keys) {
    const member = value[key];
    if (member === undefined) continue;
    out += `${out.length > 1 ? "," : ""}${canonicalString(key)}:${canonicalize(member)}`;
  }
  return `${out}}`;
}

function canonicalNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError("JCS: NaN and infinities have no JSON form");
  return JSON.stringify(value);
}

function canonicalString(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("JCS: a lone surrogate has no UTF-8 form");
  return JSON.stringify(value);
}
