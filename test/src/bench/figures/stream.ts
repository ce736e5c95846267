import type { Bench } from "../bench.ts";
import type { PacedDone } from "../helper/streams.ts";
import type { Path } from "../paths/path.ts";
import { atMost, type FigureResult, type Goal, short } from "../result.ts";
import { median, quantile, sum } from "../stats.ts";

const PAIRS_A_ROUND = 20;
const PACED = { tokens: 50, tokenDelayMs: 5 };
/** So far apart that an event which is merely late is not taken for one that waited. */
const SPACED = { tokens: 8, tokenDelayMs: 60 };
const MAX_ADDED_MS = 3;

interface PathStream {
  /** To the first event, milliseconds; the same place in two paths' lists is a pair. */
  readonly firstMs: number[];
  /** From the model server to the client, an event each. */
  readonly delayMs: number[];
  /** Events that arrived only after the next one had been made: how often, by their place in the stream. */
  readonly waited: number[];
  spacedRounds: number;
  lost: number;
}

/** One stream at a time: how much later than directly do the first and every other event arrive? */
export async function streamFigure(bench: Bench): Promise<FigureResult> {
  const measured = new Map<Path, PathStream>(
    bench.paths.map((path) => [path, { firstMs: [], delayMs: [], waited: [], spacedRounds: 0, lost: 0 }]),
  );
  const endpoints = bench.paths.map(({ timed }) => timed);
  // Connections open, code warm.
  await bench.clock.run("firstEvents", { endpoints, pairs: 30 });
  for (const _ of bench.rounds("stream", bench.options.rounds)) {
    const first = await bench.clock.run("firstEvents", { endpoints, pairs: PAIRS_A_ROUND });
    for (const [index, path] of bench.paths.entries()) measured.get(path)?.firstMs.push(...(first[index] ?? []));
    for (const [path, into] of measured) {
      const paced = await bench.clock.run("paced", { ...path.timed, ...PACED });
      into.delayMs.push(...paced.delayMs);
      into.lost += paced.lost;
    }
    // One at a time: the tap knows one stream.
    for (const [path, into] of measured) await spacedStream(bench, path, into);
  }
  return report(measured);
}

async function spacedStream(bench: Bench, path: Path, into: PathStream): Promise<void> {
  const done: PacedDone = await bench.clock.run("paced", { ...path.timed, ...SPACED });
  for (const place of done.waited) into.waited[place] = (into.waited[place] ?? 0) + 1;
  into.spacedRounds += 1;
  into.lost += done.lost;
}

/**
 * Places whose event came too late in most rounds. A relay that holds an event until the next one comes does so every
 * time; a machine that was busy with something else for 60 ms does it now and then, anywhere.
 */
const waiting = (of: PathStream): number =>
  Object.values(of.waited).filter((rounds) => rounds > of.spacedRounds / 2).length;

function report(measured: ReadonlyMap<Path, PathStream>): FigureResult {
  const direct = [...measured].find(([{ name }]) => name === "direct")?.[1];
  const added = (of: PathStream): number[] => of.firstMs.map((ms, pair) => ms - (direct?.firstMs[pair] ?? Number.NaN));
  const goals: Goal[] = [];
  const rows: string[][] = [];
  for (const [{ name }, of] of measured) {
    const late = added(of);
    rows.push([
      name,
      short(median(of.firstMs)),
      short(median(late)),
      short(quantile(late, 0.99)),
      short(median(of.delayMs)),
      short(quantile(of.delayMs, 0.99)),
      `${sum(Object.values(of.waited))} of ${SPACED.tokens * of.spacedRounds}`,
    ]);
    if (name !== "hoopish") continue;
    if (direct !== undefined)
      goals.push(atMost("first SSE event later than direct, median", median(late), MAX_ADDED_MS, "ms"));
    goals.push(atMost("places in a stream whose event waits for the next one", waiting(of), 0, ""));
  }
  const lost = sum([...measured.values()].map((of) => of.lost));
  return {
    figure: "stream",
    tables: [
      {
        title: "One stream: time to the first event, and each event's way",
        note: `ms. First event: ${PAIRS_A_ROUND} requests a path and round, one after the other on all paths in turn, and how much later than the direct one beside it. Event's way: from a tap before the model server to the client, tokens ${PACED.tokenDelayMs} ms apart. Waited: arrived only after the next token was made (tokens ${SPACED.tokenDelayMs} ms apart).`,
        head: ["path", "first event", "later than direct", "p99", "event's way", "p99", "waited"],
        rows,
      },
    ],
    goals,
    broken: lost > 0 ? [`${lost} events of single streams were lost`] : [],
    data: [...measured].map(([{ name }, of]) => ({ path: name, ...of })),
  };
}
