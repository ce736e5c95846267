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

export const lengthOf = (value: unknown): number | undefined => (Array.isArray(value) ? value.length : undefined);

/** The largest of what is known. */
export function largest(...counts: readonly (number | undefined)[]): number | undefined {
  const known = counts.filter((count) => count !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** The last segment's model name as a person wrote it. */
export function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

const MAX_TEXTS = 64;
const MAX_CHARACTERS = 65_536;

/** Gathers what a person wrote, up to the bounds of Operation.texts. */
export class Texts {
  readonly #texts: string[] = [];
  #characters = 0;

  add(value: unknown): void {
    if (typeof value !== "string" || value === "" || this.#texts.length >= MAX_TEXTS) return;
    const room = MAX_CHARACTERS - this.#characters;
    if (room <= 0) return;
    const taken = value.slice(0, room).toWellFormed();
    this.#texts.push(taken);
    this.#characters += taken.length;
  }

  /** Strings in arrays, and the texts of content parts. */
  addAll(value: unknown, depth: number = 4): void {
    if (typeof value === "string") this.add(value);
    else if (Array.isArray(value) && depth > 0)
      for (const item of value.slice(0, MAX_TEXTS)) this.addAll(item, depth - 1);
    else if (typeof value === "object" && value !== null && depth > 0) {
      this.addAll(member(value, "text") ?? member(value, "content"), depth - 1);
    }
  }

  get found(): { readonly texts?: readonly string[] } {
    return this.#texts.length === 0 ? {} : { texts: this.#texts };
  }
}
