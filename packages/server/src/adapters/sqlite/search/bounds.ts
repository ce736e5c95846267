/** Where a search looks: records [from, before) of the log. */
export interface Bounds {
  readonly from: number;
  readonly before: number;
}

/** Indexes of records, newest first. */
export type Found = Generator<number, void>;

/** Asked for so many first: most searches need no more. */
const FIRST = 64;
const MOST = 4_096;

/**
 * Everything that `load` gives, page by page as it is wanted: nothing stays open while nobody asks.
 * @param load the newest `count` before an index, newest first
 */
export function* paged({ from, before }: Bounds, load: (count: number, before: number) => readonly number[]): Found {
  let end = before;
  for (let count = FIRST; ; count = Math.min(count * 4, MOST)) {
    const page = load(count, end);
    for (const index of page) {
      if (index < from) return;
      yield index;
    }
    const last = page.at(-1);
    if (page.length < count || last === undefined) return;
    end = last;
  }
}

/** Several newest-first streams as one; what stands in more than one comes once. */
export function* together(streams: readonly Found[]): Found {
  const heads = streams.map((stream) => ({ stream, index: take(stream) }));
  for (;;) {
    const newest = Math.max(NONE, ...heads.map(({ index }) => index));
    if (newest === NONE) return;
    yield newest;
    for (const head of heads) if (head.index === newest) head.index = take(head.stream);
  }
}

const NONE = -1;
const take = (stream: Found): number => stream.next().value ?? NONE;
