import type { HoldId, PayloadField, PayloadTally } from "@hoopish/protocol";
import { Frontier, leafHash } from "@hoopish/protocol/tlog";
import { fieldOf } from "../keys.ts";
import type { Query } from "../query.ts";
import {
  type ActiveHold,
  type ClassMonth,
  holdMatcher,
  nextWindow,
  runningCalls,
  type SealedCall,
  sealedCalls,
} from "./month-calls.ts";

/** Classes and months of which there are keys, oldest first. */
export function keptMonths(query: Query): ClassMonth[] {
  return query.all<{ retention: number; month: number }>(
    "SELECT DISTINCT retention, month FROM vault_keys ORDER BY month, retention",
  );
}

/** What the calls of one window come to, and where the next one begins; undefined: that was the last. */
export interface SurveyPart {
  readonly destroyed: PayloadTally;
  readonly held: PayloadTally;
  readonly holds: readonly HoldId[];
  readonly running: number;
  readonly next: number | undefined;
}

export function surveyPart(query: Query, of: ClassMonth, holds: readonly ActiveHold[], from: number): SurveyPart {
  const part = { destroyed: new Tally(), held: new Tally(), holds: new Set<HoldId>(), running: 0 };
  const window = nextWindow(query, of, from);
  if (from === 0) part.running = runningCalls(query, of);
  if (window !== undefined) {
    const keys = liveKeys(query, of);
    const holdsOf = holdMatcher(query, holds);
    for (const call of sealedCalls(query, of, window)) {
      if (!keys.has(keyOf(call))) continue;
      const keeping = holdsOf(call);
      (keeping.length > 0 ? part.held : part.destroyed).add(call);
      for (const id of keeping) part.holds.add(id);
    }
  }
  return {
    destroyed: part.destroyed.plain(),
    held: part.held.plain(),
    holds: [...part.holds],
    running: part.running,
    next: window?.before,
  };
}

const liveKeys = (query: Query, { retention, month }: ClassMonth): ReadonlySet<number> =>
  new Set(
    query
      .all<{ key: number }>("SELECT key FROM vault_keys WHERE retention = ? AND month = ?", retention, month)
      .map(({ key }) => key),
  );

/** With which key everything of a call is sealed. */
export const keyOf = ({ pieces }: SealedCall): number => pieces[0]?.key as number;

class Tally {
  #calls = 0;
  #payloads = 0;
  #bytes = 0;

  add(call: SealedCall): void {
    this.#calls += 1;
    this.#payloads += fieldsOf(call).length;
    for (const { sizes } of call.pieces) for (const { bytes } of sizes) this.#bytes += bytes;
  }

  plain(): PayloadTally {
    return { calls: this.#calls, payloads: this.#payloads, bytes: this.#bytes };
  }
}

/** In the order of the alphabet. */
const fieldsOf = ({ pieces }: SealedCall): PayloadField[] =>
  [...new Set(pieces.flatMap(({ sizes }) => sizes.map(({ field }) => fieldOf(field))))].sort();

/** A tree of `<call>/<field>` as far as it has grown. */
export interface GrowingTree {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

export interface CountPart {
  readonly tree: GrowingTree;
  /** Where the next part begins; undefined: that was the last. */
  readonly next: number | undefined;
}

/** Adds to the tree what `keys` seal of the next window's calls (retention.purged in record.ts). */
export function countPart(
  query: Query,
  of: ClassMonth,
  keys: readonly number[],
  from: number,
  { size, hashes }: GrowingTree,
): CountPart {
  const window = nextWindow(query, of, from);
  if (window === undefined) return { tree: { size, hashes }, next: undefined };
  const frontier = new Frontier(size, hashes);
  for (const call of sealedCalls(query, of, window)) {
    if (!keys.includes(keyOf(call))) continue;
    for (const field of fieldsOf(call)) frontier.push(leafHash(Buffer.from(`${call.id}/${field}`)));
  }
  const grown = frontier.hashes().map((hash) => new Uint8Array(hash));
  return { tree: { size: frontier.size, hashes: grown }, next: window.before };
}
