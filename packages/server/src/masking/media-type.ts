export const JSON_TYPES: RegExp = /^(?:application\/(?:json|[\w.+-]+\+json)|text\/json)$/;
export const LINE_TYPES: RegExp = /^application\/(?:x-ndjson|ndjson|jsonl|json-lines|x-jsonlines|json-seq)$/;
const TEXT_TYPES = /^(?:text\/[\w.+-]+|application\/(?:xml|[\w.+-]+\+xml|javascript|yaml|x-yaml|csv|sql|graphql))$/;

export interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** RFC 9110 §8.3.1; a parameter that stands twice counts as it first stands. */
export function parseMediaType(text: string): MediaType {
  const [type = "", ...rest] = text.split(";");
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const found = /^\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s"]+))\s*$/.exec(part);
    const name = found?.[1]?.toLowerCase();
    if (name !== undefined && !parameters.has(name)) parameters.set(name, found?.[2] ?? found?.[3] ?? "");
  }
  return { type: type.trim().toLowerCase(), parameters };
}

/** Why a body of this type cannot be looked into; undefined: it can. */
export function mediaProblem({ type, parameters }: MediaType): string | undefined {
  const charset = parameters.get("charset")?.toLowerCase();
  if (
    charset !== undefined &&
    charset !== "utf-8" &&
    charset !== "utf8" &&
    charset !== "us-ascii" &&
    charset !== "ascii"
  ) {
    return `its charset is ${charset.slice(0, 40)}`;
  }
  const known =
    type === "" ||
    JSON_TYPES.test(type) ||
    LINE_TYPES.test(type) ||
    TEXT_TYPES.test(type) ||
    type === "application/x-www-form-urlencoded" ||
    type === "multipart/form-data";
  return known ? undefined : `its type is ${type.slice(0, 80)}`;
}
