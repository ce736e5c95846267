/** Processes whose numbers are kept apart; a log has a few for each day. */
const MAX_BOOTS = 100_000;

export type NumberJudgement = "next" | "repeats" | "too_many" | { readonly gapFrom: number };

/**
 * `src.n`, which each process counts from 0 without a gap over the records that it makes: a number that is not there is
 * a record that was lost before it reached the log, or was taken out of it.
 */
export class SourceNumbers {
  readonly #last = new Map<string, number>();
  readonly #fromBeginning: boolean;

  /** @param fromBeginning the range begins with the log: no process has records before it */
  constructor(fromBeginning: boolean) {
    this.#fromBeginning = fromBeginning;
  }

  judge(boot: string, n: number): NumberJudgement {
    const last = this.#last.get(boot) ?? (this.#fromBeginning ? -1 : undefined);
    if (last === undefined && this.#last.size >= MAX_BOOTS) return "too_many";
    if (last !== undefined && n <= last) return "repeats";
    this.#last.set(boot, n);
    // Of a process that is met in the middle of the log, what came before may stand before the range.
    return last === undefined || n === last + 1 ? "next" : { gapFrom: last + 1 };
  }
}
