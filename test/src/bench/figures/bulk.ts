import type { Bench } from "../bench.ts";
import type { PathName } from "../options.ts";
import { atLeast, type FigureResult, short } from "../result.ts";
import { median } from "../stats.ts";

const MIN_MB_A_SECOND = 60;

interface Transfers {
  readonly path: PathName;
  readonly down: number[];
  readonly up: number[];
}

/** A large answer and a large request, whole, with every byte checked. */
export async function bulkFigure(bench: Bench): Promise<FigureResult> {
  const { bulkBytes: bytes } = bench.options;
  const paths = bench.paths.flatMap(({ name, raw }) => (raw === undefined ? [] : [{ name, raw }]));
  const measured: Transfers[] = paths.map(({ name }) => ({ path: name, down: [], up: [] }));
  const broken: string[] = [];
  for (const _ of bench.rounds("transfers", bench.options.bulkRounds)) {
    for (const [index, { name, raw }] of paths.entries()) {
      for (const [way, job] of [["down", "bulkDown"] as const, ["up", "bulkUp"] as const]) {
        const done = await bench.load.run(job, { ...raw, bytes });
        if (!done.right) broken.push(`${name}: ${way}: not the bytes that were sent`);
        measured[index]?.[way].push(bytes / 1e6 / done.seconds);
        await bench.settle();
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
