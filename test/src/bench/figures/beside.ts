import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "../bench.ts";
import type { PathName } from "../options.ts";
import { type FigureResult, short } from "../result.ts";
import { median, quantile, sum } from "../stats.ts";

const STREAM = { tokens: 100, tokenDelayMs: 10 };
/** The transfer has its pace by then. */
const LEAD_MS = 400;

interface Beside {
  readonly path: PathName;
  /** Each event's way from the model server to the client, milliseconds: alone, and beside a transfer. */
  readonly alone: number[];
  readonly beside: number[];
  readonly bulkMb: number[];
  lost: number;
}

/** What a colleague's download does to a stream of tokens on the same tunnel. */
export async function besideFigure(bench: Bench): Promise<FigureResult> {
  const paths = bench.paths.flatMap(({ name, raw, timed }) => (raw === undefined ? [] : [{ name, raw, timed }]));
  const measured: Beside[] = paths.map(({ name }) => ({ path: name, alone: [], beside: [], bulkMb: [], lost: 0 }));
  for (const _ of bench.rounds("beside a transfer", bench.options.bulkRounds)) {
    for (const [index, { raw, timed }] of paths.entries()) {
      const into = measured[index];
      if (into === undefined) continue;
      const alone = await bench.clock.run("paced", { ...timed, ...STREAM });
      const transfer = bench.load.run("bulkLoop", { ...raw, bytes: bench.options.bulkBytes });
      // A transfer that fails is reported below, not as an unhandled rejection meanwhile.
      transfer.catch(() => undefined);
      await sleep(LEAD_MS);
      const beside = await bench.clock.run("paced", { ...timed, ...STREAM });
      await bench.load.run("bulkStop", undefined);
      const { bytes, seconds } = await transfer;
      into.alone.push(...alone.delayMs);
      into.beside.push(...beside.delayMs);
      into.bulkMb.push(bytes / 1e6 / seconds);
      into.lost += alone.lost + beside.lost;
      await bench.settle();
    }
  }
  const lost = sum(measured.map((one) => one.lost));
  return {
    figure: "beside",
    tables: [
      {
        title: "A token stream beside a download on the same connection",
        note: `ms from the model server to the client, tokens ${STREAM.tokenDelayMs} ms apart; and how fast the download was. No goal is set. The two share the machine's cores as well as the tunnel.`,
        head: ["path", "alone", "p99", "beside", "p99", "download MB/s"],
        rows: measured.map(({ path, alone, beside, bulkMb }) => [
          path,
          short(median(alone)),
          short(quantile(alone, 0.99)),
          short(median(beside)),
          short(quantile(beside, 0.99)),
          short(median(bulkMb)),
        ]),
      },
    ],
    goals: [],
    broken: lost > 0 ? [`${lost} events were lost beside a transfer`] : [],
    data: measured,
  };
}
