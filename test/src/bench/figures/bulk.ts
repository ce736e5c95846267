import type { Bench } from "../bench.ts";
import type { PathName } from "../options.ts";
import type { Path } from "../paths/path.ts";
import { cpuMs } from "../proc.ts";
import { atLeast, type FigureResult, short } from "../result.ts";
import { append, median } from "../stats.ts";

const MIN_MB_A_SECOND = 60;

interface Transfers {
  readonly path: PathName;
  readonly down: number[];
  readonly up: number[];
  /** Milliseconds of CPU a MiB, both ways together, by process; an entry a round. */
  readonly cpuMs: Record<string, number[]>;
}

/** A large answer and a large request, whole, with every byte checked. */
export async function bulkFigure(bench: Bench): Promise<FigureResult> {
  const { bulkBytes: bytes } = bench.options;
  const carries = ({ raw }: Path): boolean => raw !== undefined;
  const measured: Transfers[] = bench.paths
    .filter(carries)
    .map(({ name }) => ({ path: name, down: [], up: [], cpuMs: {} }));
  const broken: string[] = [];
  for (const turn of bench.rounds("transfers", bench.options.bulkRounds)) {
    const { result } = await bench.patience.measure(async () => {
      const round: Both[] = [];
      for (const path of bench.inTurn(turn).filter(carries)) round.push(await bothWays(bench, path));
      return round;
    });
    for (const { path, down, up, cpuMs: cpu, wrong } of result) {
      const into = measured.find((one) => one.path === path);
      into?.down.push(down);
      into?.up.push(up);
      if (into !== undefined) append(into.cpuMs, cpu);
      broken.push(...wrong);
    }
  }
  const ours = measured.find(({ path }) => path === "hoopish");
  const mib = bytes / 2 ** 20;
  return {
    figure: "bulk",
    tables: [
      {
        title: `${mib} MiB in one body`,
        note: "MB/s (10⁶ bytes), medians; hoopish has every byte durable before it goes on. Length and SHA-256 checked.",
        head: ["path", "down", "up"],
        rows: measured.map(({ path, down, up }) => [path, short(median(down)), short(median(up))]),
      },
      {
        title: `${mib} MiB in one body: CPU by process`,
        note: "ms of CPU a MiB, both ways together.",
        head: ["path", "process", "ms a MiB"],
        rows: measured.flatMap(({ path, cpuMs: cpu }) =>
          Object.entries(cpu).map(([role, ms]) => [path, role, short(median(ms))]),
        ),
      },
    ],
    goals:
      ours === undefined
        ? []
        : (["down", "up"] as const).map((way) =>
            atLeast(`${mib} MiB ${way}, recorded`, median(ours[way]), MIN_MB_A_SECOND, "MB/s"),
          ),
    broken,
    data: measured,
  };
}

interface Both {
  readonly path: PathName;
  /** MB/s. */
  readonly down: number;
  readonly up: number;
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
}

async function bothWays(bench: Bench, path: Path): Promise<Both> {
  const { bulkBytes: bytes } = bench.options;
  const ask = { ...(path.raw ?? path.chat), bytes };
  const before = cpuByProcess(path);
  const down = await bench.load.run("bulkDown", ask);
  await bench.settle();
  const up = await bench.load.run("bulkUp", ask);
  await bench.settle();
  const mib = (2 * bytes) / 2 ** 20;
  const spent = Object.entries(cpuByProcess(path)).map(
    ([role, ms]) => [role, (ms - (before[role] ?? 0)) / mib] as const,
  );
  return {
    path: path.name,
    down: bytes / 1e6 / down.seconds,
    up: bytes / 1e6 / up.seconds,
    cpuMs: Object.fromEntries(spent),
    wrong: Object.entries({ down, up })
      .filter(([, { right }]) => !right)
      .map(([way]) => `${path.name}: ${way}: not the bytes that were sent`),
  };
}

const cpuByProcess = (path: Path): Record<string, number> =>
  Object.fromEntries(Object.entries(path.processes()).map(([role, pids]) => [role, cpuMs(pids)]));
