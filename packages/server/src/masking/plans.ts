import { createHmac } from "node:crypto";
import type { Analyze, AnalyzerConfig } from "./analyzer.ts";
import { ownPatterns } from "./own-patterns.ts";
import { type Action, buildPlan, type MaskPlan } from "./plan.ts";
import type { MaskingRule } from "./rule.ts";

/** What is masked on one connection. */
export interface ConnectionMasks {
  readonly request: MaskPlan | undefined;
  readonly response: MaskPlan | undefined;
}

/** How an analyzer of the configuration is asked. */
export type AnalyzerOf = (config: AnalyzerConfig) => Analyze;

export type Masks = (connection: string) => ConnectionMasks;

const NO_MASKS: ConnectionMasks = { request: undefined, response: undefined };

/**
 * @param key of pseudonyms and digests, a secret of this installation
 * @throws what own patterns throw: the configuration was not checked
 */
export function compileMasks(
  rules: readonly MaskingRule[],
  connections: readonly string[],
  key: Uint8Array,
  analyzerOf: AnalyzerOf,
): Masks {
  const masks = new Map<string, ConnectionMasks>();
  for (const connection of connections) {
    const about = rules.filter((rule) => rule.connections.includes("*") || rule.connections.includes(connection));
    const of = (direction: MaskingRule["direction"]): MaskPlan | undefined => {
      const mine = about.filter((rule) => rule.direction === direction);
      if (mine.length === 0) return undefined;
      const own = mine.flatMap(({ patterns, action }) => patterns.map((pattern) => ({ ...pattern, action })));
      // A connection's pseudonyms are its own: what two models are told cannot be put together.
      const mac = (value: string): Buffer => createHmac("sha256", key).update(`${connection}\u0000${value}`).digest();
      const analyzers = mine.flatMap(({ analyzer, action }) => (analyzer === undefined ? [] : [{ analyzer, action }]));
      const asked = analyzers.map(({ analyzer }) => analyzerOf(analyzer));
      const analyze: Analyze = async (text) => (await Promise.all(asked.map((one) => one(text)))).flat();
      const entities = analyzers.flatMap(({ analyzer, action }) =>
        analyzer.entities.map((type): [string, Action] => [type, action]),
      );
      return buildPlan(mine, ownPatterns(own), mac, asked.length === 0 ? undefined : analyze, new Map(entities));
    };
    masks.set(connection, { request: of("request"), response: of("response") });
  }
  return (connection) => masks.get(connection) ?? NO_MASKS;
}
