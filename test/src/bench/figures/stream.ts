import type { Bench } from "../bench.ts";
import type { Endpoint } from "../helper/jobs.ts";
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
    const { result } = await bench.patience.measure(() => oneRound(bench, endpoints));
    for (const [index, into] of [...measured.values()].entries()) keep(result, index, into);
  }
  return report(measured);
}

/** What was seen of each path, in the order of the paths. */
interface Round {
  readonly first: readonly (readonly number[])[];
  readonly paced: readonly PacedDone[];
  readonly spaced: readonly PacedDone[];
}

async function oneRound({ clock }: Bench, endpoints: readonly Endpoint[]): Promise<Round> {
  const first = await clock.run("firstEvents", { endpoints, pairs: PAIRS_A_ROUND });
  const [paced, spaced]: [PacedDone[], PacedDone[]] = [[], []];
  // One at a time: the tap knows one stream.
  for (const endpoint of endpoints) paced.push(await clock.run("paced", { ...endpoint, ...PACED }));
  for (const endpoint of endpoints) spaced.push(await clock.run("paced", { ...endpoint, ...SPACED }));
  return { first, paced, spaced };
}

function keep(round: Round, index: number, into: PathStream): void {
  const [paced, spaced] = [round.paced[index], round.spaced[index]];
  into.firstMs.push(...(round.first[index] ?? []));
  into.delayMs.push(...(paced?.delayMs ?? []));
  for (const place of spaced?.waited ?? []) into.waited[place] = (into.waited[place] ?? 0) + 1;
  into.spacedRounds += 1;
  into.lost += (paced?.lost ?? 0) + (spaced?.lost ?? 0);
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
