import { createHmac } from "node:crypto";
import { ownPatterns } from "./own-patterns.ts";
import { buildPlan, type MaskPlan } from "./plan.ts";
import type { MaskingRule } from "./rule.ts";

/** What is masked on one connection. */
export interface ConnectionMasks {
  readonly request: MaskPlan | undefined;
  readonly response: MaskPlan | undefined;
}

export type Masks = (connection: string) => ConnectionMasks;

const NO_MASKS: ConnectionMasks = { request: undefined, response: undefined };

/**
 * @param key of pseudonyms and digests, a secret of this installation
 * @throws what own patterns throw: the configuration was not checked
 */
export function compileMasks(rules: readonly MaskingRule[], connections: readonly string[], key: Uint8Array): Masks {
  const masks = new Map<string, ConnectionMasks>();
  for (const connection of connections) {
    const about = rules.filter((rule) => rule.connections.includes("*") || rule.connections.includes(connection));
    const of = (direction: MaskingRule["direction"]): MaskPlan | undefined => {
      const mine = about.filter((rule) => rule.direction === direction);
      if (mine.length === 0) return undefined;
      const own = mine.flatMap(({ patterns, action }) => patterns.map((pattern) => ({ ...pattern, action })));
      // A connection's pseudonyms are its own: what two models are told cannot be put together.
      const mac = (value: string): Buffer => createHmac("sha256", key).update(`${connection}\u0000${value}`).digest();
      return buildPlan(mine, ownPatterns(own), mac);
    };
    masks.set(connection, { request: of("request"), response: of("response") });
  }
  return (connection) => masks.get(connection) ?? NO_MASKS;
}
