import type { Bench } from "../bench.ts";
import type { PathName } from "../options.ts";
import type { Path } from "../paths/path.ts";
import { cpuMs } from "../proc.ts";
import { atLeast, type FigureResult, short } from "../result.ts";
import { median } from "../stats.ts";

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
  const paths = bench.paths.flatMap((path) => (path.raw === undefined ? [] : [{ path, raw: path.raw }]));
  const measured: Transfers[] = paths.map(({ path }) => ({ path: path.name, down: [], up: [], cpuMs: {} }));
  const broken: string[] = [];
  for (const _ of bench.rounds("transfers", bench.options.bulkRounds)) {
    for (const [index, { path, raw }] of paths.entries()) {
      const before = cpuByProcess(path);
      for (const [way, job] of [["down", "bulkDown"] as const, ["up", "bulkUp"] as const]) {
        const done = await bench.load.run(job, { ...raw, bytes });
        if (!done.right) broken.push(`${path.name}: ${way}: not the bytes that were sent`);
        measured[index]?.[way].push(bytes / 1e6 / done.seconds);
        await bench.settle();
      }
      const mibs = (2 * bytes) / 2 ** 20;
      for (const [role, ms] of Object.entries(cpuByProcess(path))) {
        const into = measured[index]?.cpuMs ?? {};
        into[role] = [...(into[role] ?? []), (ms - (before[role] ?? 0)) / mibs];
      }
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

const cpuByProcess = (path: Path): Record<string, number> =>
  Object.fromEntries(Object.entries(path.processes()).map(([role, pids]) => [role, cpuMs(pids)]));
