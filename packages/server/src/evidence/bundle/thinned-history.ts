import { MAX_HISTORY } from "@hoopish/protocol/bundle";
import type { SignedRoot } from "./port.ts";

/**
 * At most 65,536 of the signed checkpoints, evenly over the range, the last one always: a verifier holds them all while
 * it compares. A long range has one for every few seconds, and every record still stands between two of them.
 */
export async function thinnedHistory(history: AsyncIterable<SignedRoot>): Promise<readonly SignedRoot[]> {
  let kept: SignedRoot[] = [];
  let step = 1;
  let count = 0;
  let last: SignedRoot | undefined;
  for await (const root of history) {
    last = root;
    if (count++ % step !== 0) continue;
    kept.push(root);
    if (kept.length < MAX_HISTORY) continue;
    kept = kept.filter((_, i) => i % 2 === 0);
    step *= 2;
  }
  if (last !== undefined && kept.at(-1) !== last) kept.push(last);
  return kept;
}
