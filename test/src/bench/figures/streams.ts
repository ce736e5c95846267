import type { Bench } from "../bench.ts";
import type { ManyStreamsDone } from "../helper/streams.ts";
import type { PathName } from "../options.ts";
import { atMost, type FigureResult, short } from "../result.ts";

const STREAMS = 200;
const TOKEN_DELAY_MS = 20;
const MIDDLE_TIMEOUT_MS = 60_000;

/** 200 streams of 50 events a second at one time: none may lose, double or reorder an event. */
export async function streamsFigure(bench: Bench): Promise<FigureResult> {
  const tokens = (bench.options.streamSeconds * 1000) / TOKEN_DELAY_MS;
  const reference = { origin: bench.model.url, headers: { authorization: `Bearer ${bench.model.credential}` } };
  const measured: { readonly path: PathName; readonly done: ManyStreamsDone }[] = [];
  for (const _ of bench.rounds("200 streams", 1)) {
    for (const { name, chat } of bench.paths) {
      const ask = { ...chat, tokens, tokenDelayMs: TOKEN_DELAY_MS, streams: STREAMS, reference, overMs: 500 };
      measured.push({ path: name, done: await bench.load.run("manyStreams", ask, MIDDLE_TIMEOUT_MS) });
      await bench.settle();
    }
  }
  const ours = measured.find(({ path }) => path === "hoopish")?.done;
  return {
    figure: "streams",
    tables: [
      {
        title: `${STREAMS} streams at one time, ${1000 / TOKEN_DELAY_MS} events a second each`,
        note: `${tokens} tokens each, begun over half a second. Whole: every event, in order, and a proper end. Gap: ms between two events of a stream.`,
        head: ["path", "whole", "events lost", "events/s", "gap p50", "gap p99"],
        rows: measured.map(({ path, done }) => [
          path,
          `${done.whole} of ${STREAMS}`,
          String(done.lostEvents),
          short(done.eventsPerSecond),
          short(done.gapP50Ms),
          short(done.gapP99Ms),
        ]),
      },
    ],
    goals:
      ours === undefined
        ? []
        : [atMost(`streams of ${STREAMS} that lost or reordered events`, STREAMS - ours.whole, 0, "")],
    broken: measured
      .filter(({ done }) => done.whole < STREAMS)
      .map(
        ({ path, done }) =>
          `${path}: ${STREAMS - done.whole} of ${STREAMS} streams not whole ${done.failed.join("; ")}`,
      ),
    data: measured,
  };
}
