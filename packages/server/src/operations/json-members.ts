/** Reads members of untrusted JSON without trusting their types. */

export function member(json: unknown, name: string): unknown {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  return Object.hasOwn(json, name) ? (json as Record<string, unknown>)[name] : undefined;
}

/** A string that may stand in a record: well-formed, of bounded length. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value.length > 0 ? value.slice(0, 256).toWellFormed() : undefined;
}

export function positiveInteger(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
