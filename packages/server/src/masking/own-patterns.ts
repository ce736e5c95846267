import { RE2JS } from "re2js";
import type { Action } from "./plan.ts";
import type { OwnPatterns } from "./scanner.ts";

export interface OwnPattern {
  /** What stands for it in records and texts. */
  readonly type: string;
  /** RE2: linear in the text, whatever it is. */
  readonly regex: string;
  /** The longest match, in UTF-16 units; so much of a text is held back. */
  readonly maxLength: number;
}

/** What a pattern must not have: it would mean another thing in each piece of a text. */
const ANCHORS = /(?<!\\)(?:\\\\)*(?:\^|\$|\\[AzZ])/;

/** What is wrong with a pattern, in words; undefined: nothing. */
export function patternProblem(regex: string): string | undefined {
  const plain = regex.replace(/\[\^/g, "[");
  if (ANCHORS.test(plain)) return "^, $, \\A and \\z have no meaning in a text that comes in pieces; \\b has";
  try {
    const compiled = RE2JS.compile(regex);
    if (compiled.matcher("").find()) return "it matches nothing at all, and so everywhere";
  } catch (error) {
    return `it is no RE2 expression: ${(error as Error).message.slice(0, 200)}`;
  }
  return undefined;
}

/** @returns undefined where there are none */
export function ownPatterns(
  patterns: readonly (OwnPattern & { readonly action: Action })[],
): { readonly patterns: OwnPatterns; readonly actions: ReadonlyMap<string, Action> } | undefined {
  if (patterns.length === 0) return undefined;
  const compiled = patterns.map(({ type, regex, maxLength }) => ({
    type,
    maxLength,
    expression: RE2JS.compile(regex),
  }));
  return {
    actions: new Map(patterns.map(({ type, action }) => [type, action])),
    patterns: {
      longest: Math.max(...patterns.map(({ maxLength }) => maxLength)),
      find(text, from, to, high) {
        let first: { type: string; start: number; end: number } | undefined;
        for (const { type, maxLength, expression } of compiled) {
          const matcher = expression.matcher(high === text.length ? text : text.slice(0, high));
          for (let at = from; at < to && matcher.find(at); ) {
            const start = matcher.start();
            const end = matcher.end();
            if (start >= to) break;
            if (end > start && end - start <= maxLength) {
              if (first === undefined || start < first.start) first = { type, start, end };
              break;
            }
            at = Math.max(end, start + 1);
          }
        }
        return first;
      },
    },
  };
}
