import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { atMost, type FigureResult, short } from "../result.ts";
import { median, medianRatio } from "../stats.ts";
import { CALLS, measure, wake } from "./requests.ts";

/** A file system in memory: what is "durable" there waits for no disk. */
const MEMORY = "/dev/shm";
const CONNECTIONS = 32;

/** What it costs that the log is on a disk: the same programs beside others whose log is in memory, turn about. */
export async function logFigure(bench: Bench): Promise<FigureResult> {
  const disk = bench.paths.find(({ name }) => name === "hoopish");
  if (disk === undefined || !existsSync(MEMORY)) {
    return { figure: "log", tables: [], goals: [], broken: [], data: { leftOut: `no hoopish, or no ${MEMORY}` } };
  }
  const folder = mkdtempSync(join(MEMORY, "hoopish-bench-"));
  try {
    return await compare(bench, disk, await bench.another({ store: join(folder, "hoopish.db") }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(bench: Bench, disk: Bench["paths"][number], memory: typeof disk): Promise<FigureResult> {
  const p50 = { disk: [] as number[], memory: [] as number[] };
  const perSecond = { disk: [] as number[], memory: [] as number[] };
  const call = CALLS[0] as (typeof CALLS)[number];
  let failed = 0;
  const both = [
    ["disk", disk],
    ["memory", memory],
  ] as const;
  for (const round of bench.rounds("log", bench.options.rounds + 1)) {
    const { result } = await bench.patience.measure(async () => {
      await wake(bench, call, CONNECTIONS);
      const turn = [];
      for (const [where, path] of round % 2 === 0 ? both : both.toReversed()) {
        turn.push({ where, ...(await measure(bench, call, path, call.endpoint(path) ?? path.chat, CONNECTIONS)) });
        await bench.settle();
      }
      return turn;
    });
    // The second hoopish has not run before: its first turn warms it up.
    if (round === 0) continue;
    for (const { where, done } of result) {
      p50[where].push(done.p50Ms);
      perSecond[where].push(done.perSecond);
      failed += done.failed;
    }
  }
  const row = (where: "disk" | "memory") => [where, short(median(perSecond[where])), short(median(p50[where]))];
  return {
    figure: "log",
    tables: [
      {
        title: "The log on a disk and in memory: chat, 32 connections",
        note: "p50 in ms. The same programs twice, each with a log of its own; one is a file on a file system in memory.",
        head: ["log", "req/s", "p50"],
        rows: [row("disk"), row("memory")],
      },
    ],
    goals: [atMost("chat p50 ÷ with the log in memory, 32 connections", medianRatio(p50.disk, p50.memory), 1.15)],
    broken: failed > 0 ? [`${failed} requests failed beside the log in memory`] : [],
    data: { p50, perSecond },
  };
}
