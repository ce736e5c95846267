import { isUtf8 } from "node:buffer";
import { createBodyText } from "./body-text.ts";
import { type JsonDifference, jsonDifferences } from "./json-difference.ts";
import { type TextDifference, textDifferences } from "./text-difference.ts";

/** How the answer to a request that was sent again is different from the recorded one. */
export type BodyComparison =
  | { readonly kind: "same" }
  /** The recorded answer is kept no more, or there was none. */
  | { readonly kind: "nothing_recorded" }
  | { readonly kind: "json"; readonly differences: readonly JsonDifference[]; readonly more: boolean }
  /** `events`: the texts that two streams of events carried. */
  | { readonly kind: "text" | "events"; readonly differences: readonly TextDifference[] }
  | { readonly kind: "binary"; readonly wasBytes: number; readonly nowBytes: number };

const MAX_DIFFERENCES = 1_000;

export function compareBodies(was: Buffer | undefined, now: Buffer): BodyComparison {
  if (was === undefined) return { kind: "nothing_recorded" };
  if (was.equals(now)) return { kind: "same" };
  if (!isUtf8(was) || !isUtf8(now)) return { kind: "binary", wasBytes: was.length, nowBytes: now.length };
  const [oldText, newText] = [was.toString("utf8"), now.toString("utf8")];
  const [oldJson, newJson] = [parse(oldText), parse(newText)];
  if (oldJson !== undefined && newJson !== undefined) {
    const differences = jsonDifferences(oldJson.value, newJson.value, MAX_DIFFERENCES);
    // Differently written, and the same for whoever reads it.
    if (differences.length === 0) return { kind: "text", differences: textDifferences(oldText, newText) };
    return { kind: "json", differences, more: differences.length === MAX_DIFFERENCES };
  }
  if (isEventStream(oldText) && isEventStream(newText)) {
    return { kind: "events", differences: textDifferences(carried(was), carried(now)) };
  }
  return { kind: "text", differences: textDifferences(oldText, newText) };
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

const isEventStream = (text: string): boolean => /^\ufeff?\s*(?:data|event|id|retry)?:/.test(text);

function carried(body: Buffer): string {
  const text = createBodyText(false);
  return text.push(body) + text.end();
}
