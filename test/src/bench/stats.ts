/** The value below which so much of the sample lies (nearest rank); NaN of nothing. */
export function quantile(sample: readonly number[], share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle, or the mean of the two middles. */
export function median(sample: readonly number[]): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? Number.NaN)) / 2;
}

/**
 * The median of the rounds' ratios. Not the ratio of medians: what disturbed one round disturbed both of its sides, and
 * leaves their ratio nearly alone.
 */
export function medianRatio(over: readonly number[], under: readonly number[]): number {
  const rounds = Math.min(over.length, under.length);
  return median(
    Array.from({ length: rounds }, (_, round) => (over[round] ?? Number.NaN) / (under[round] ?? Number.NaN)),
  );
}

export const sum = (sample: readonly number[]): number => sample.reduce((total, value) => total + value, 0);

/** Adds each value to the list of its name. */
export function append(lists: Record<string, number[]>, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    const list = lists[name] ?? [];
    list.push(value);
    lists[name] = list;
  }
}
