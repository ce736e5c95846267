/** The one of `known` that a person most likely meant by `written`. @returns undefined when none is near */
export function nearMiss(written: string, known: readonly string[]): string | undefined {
  const spelling = plain(written);
  // Beyond this length nothing can be near, and the comparison below takes time by the square.
  if (spelling.length > 40) return undefined;
  let best: string | undefined;
  let least = spelling.length <= 4 ? 1 : 2;
  for (const candidate of known) {
    const distance = editDistance(spelling, plain(candidate));
    if (distance < least || (distance === least && best === undefined)) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** `public_url`, `public-url` and `publicURL` are one spelling. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[_\- ]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = at(last, column - 1) + Number(a[row - 1] !== b[column - 1]);
      let cost = Math.min(replaced, at(last, column) + 1, at(current, column - 1) + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
