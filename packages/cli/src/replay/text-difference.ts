/** A stretch that is not the same. */
export interface TextDifference {
  readonly unit: "line" | "word";
  /** Where it is in the older text: number of the line or word, from 1. */
  readonly at: number;
  /** Lines, without their ends; or one piece of text. */
  readonly was: readonly string[];
  readonly now: readonly string[];
}

/** Cells of the table that is filled to find what both have; beyond it the rest is one difference. */
const MAX_CELLS = 4_000_000;

/** Line by line where there are lines, else word by word. */
export function textDifferences(was: string, now: string): TextDifference[] {
  if (was === now) return [];
  const unit = was.trimEnd().includes("\n") && now.trimEnd().includes("\n") ? "line" : "word";
  const split = unit === "line" ? /(?<=\n)/ : /(?<=\s)(?=\S)/;
  const [old, fresh] = [was.split(split), now.split(split)];
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, fresh.length) - start;
  while (end < most && old[old.length - 1 - end] === fresh[fresh.length - 1 - end]) end += 1;
  const middle = hunks(old.slice(start, old.length - end), fresh.slice(start, fresh.length - end));
  const told = (units: readonly string[]): readonly string[] =>
    unit === "line" ? units.map(withoutEnd) : joined(units);
  return middle.map((hunk) => ({ unit, at: start + hunk.at + 1, was: told(hunk.was), now: told(hunk.now) }));
}

const withoutEnd = (line: string): string => line.replace(/\r?\n$/, "");
const joined = (words: readonly string[]): readonly string[] => (words.length === 0 ? [] : [words.join("").trimEnd()]);

interface Hunk {
  readonly at: number;
  readonly was: string[];
  readonly now: string[];
}

function hunks(old: readonly string[], fresh: readonly string[]): Hunk[] {
  if (old.length * fresh.length > MAX_CELLS) return [{ at: 0, was: [...old], now: [...fresh] }];
  const common = commonLengths(old, fresh);
  const width = fresh.length + 1;
  const found: Hunk[] = [];
  let hunk: Hunk | undefined;
  for (let i = 0, j = 0; i < old.length || j < fresh.length; ) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      hunk = undefined;
      i += 1;
      j += 1;
      continue;
    }
    if (hunk === undefined) {
      hunk = { at: i, was: [], now: [] };
      found.push(hunk);
    }
    const skipOld =
      i < old.length && (j >= fresh.length || at(common, (i + 1) * width + j) >= at(common, i * width + j + 1));
    if (skipOld) hunk.was.push(old[i++] as string);
    else hunk.now.push(fresh[j++] as string);
  }
  return found;
}

/** Length of the longest common subsequence of old[i…] and fresh[j…], at i × (fresh.length + 1) + j. */
function commonLengths(old: readonly string[], fresh: readonly string[]): Uint32Array {
  const width = fresh.length + 1;
  const table = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        old[i] === fresh[j]
          ? at(table, (i + 1) * width + j + 1) + 1
          : Math.max(at(table, (i + 1) * width + j), at(table, i * width + j + 1));
    }
  }
  return table;
}

const at = (table: Uint32Array, index: number): number => table[index] ?? 0;
