import pg from "pg";
import type { Bench } from "../bench.ts";
import type { OtherProtocols } from "../paths/other-protocols.ts";
import { rssMib } from "../proc.ts";
import { atLeast, atMost, type FigureResult, short } from "../result.ts";
import { median } from "../stats.ts";
import { signIn } from "./postgres-sign-in.ts";

const ROWS = 1_000_000;
const WAYS = ["direct", "hoopish"] as const;
const SELECT = `SELECT i AS id, i * 7 AS amount, i / 3.0::float8 AS ratio, now() AS seen_at, 'branch ' || i % 100 AS branch,
  'a short remark of row ' || i AS remark, i % 2 = 0 AS open, (i * 13)::int8 AS account_ref, 'EUR' AS currency, random() AS score
  FROM generate_series(1, ${ROWS}) AS i`;

/** A large answer: straight from PostgreSQL, and through hoopish with masking on, turn about. */
export async function rowsFigure(bench: Bench): Promise<FigureResult> {
  const protocols = await bench.protocols();
  const { postgres } = protocols;
  const ours = { direct: postgres.port, hoopish: postgres.hoopish };
  const answers = new Map<string, { mbs: number[]; firstMs: number[] }>();
  const server = [protocols.world.server.pid];
  /** What the server has taken once it is warm: what it takes for one answer more has nothing to do with how long that is. */
  let before = 0;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, rssMib(server));
  }, 50);
  for (const round of bench.rounds("PostgreSQL, a large answer", 3)) {
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
      const { mbs, firstMs } = await largeAnswer(ours[way], way, protocols);
      const one = answers.get(way) ?? { mbs: [], firstMs: [] };
      one.mbs.push(mbs);
      one.firstMs.push(firstMs);
      answers.set(way, one);
    }
    if (round === 0) before = most;
  }
  clearInterval(watch);
  const answer = (way: string) => answers.get(way) ?? { mbs: [], firstMs: [] };
  const later = median(answer("hoopish").firstMs) - median(answer("direct").firstMs);
  return {
    figure: "rows",
    tables: [
      {
        title: `PostgreSQL: ${ROWS.toLocaleString("en")} rows of 10 columns, masking on`,
        note: `MB/s of the answer's bytes; first row in ms. The server took ${short(before)} MiB in the first round and ${short(most)} in the others.`,
        head: ["way", "MB/s", "first row"],
        rows: WAYS.map((way) => [way, short(median(answer(way).mbs)), short(median(answer(way).firstMs))]),
      },
    ],
    goals: [
      atLeast("PostgreSQL rows with masking", median(answer("hoopish").mbs), 40, "MB/s"),
      atMost("PostgreSQL first row later than direct", later, 5, "ms"),
      atMost("server's memory, a million rows more", most - before, 50, "MiB"),
    ],
    broken: [],
    data: { answers: Object.fromEntries(answers), before, most },
  };
}

/** Rows are counted by their bytes and thrown away: the driver's own work on them is not what is measured. */
async function largeAnswer(
  port: number,
  way: string,
  protocols: OtherProtocols,
): Promise<{ mbs: number; firstMs: number }> {
  const client = new pg.Client(signIn(port, way, protocols));
  await client.connect();
  const { connection } = client as unknown as { connection: { stream: NodeJS.ReadableStream } };
  const { stream } = connection;
  // The driver misses what is taken from it.
  client.on("error", () => undefined);
  stream.removeAllListeners("data");
  let bytes = 0;
  let last = Buffer.alloc(0);
  const start = performance.now();
  let first = 0;
  const done = new Promise<void>((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      if (first === 0) first = performance.now();
      bytes += chunk.length;
      last = Buffer.concat([last, chunk]).subarray(-6);
      // ReadyForQuery: "Z", a length of 5, a status.
      if (last[0] === 0x5a && last.readInt32BE(1) === 5) resolve();
    });
  });
  const sql = Buffer.from(`${SELECT}\0`);
  const head = Buffer.alloc(5);
  head.write("Q");
  head.writeInt32BE(sql.length + 4, 1);
  (stream as unknown as NodeJS.WritableStream).write(Buffer.concat([head, sql]));
  await done;
  const seconds = (performance.now() - start) / 1_000;
  (stream as unknown as { destroy(): void }).destroy();
  return { mbs: bytes / 1e6 / seconds, firstMs: first - start };
}
