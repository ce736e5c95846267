import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import type { Bench } from "../bench.ts";
import type { OtherProtocols } from "../paths/other-protocols.ts";
import { rssMib } from "../proc.ts";
import { atLeast, atMost, type FigureResult, short } from "../result.ts";
import { median, medianRatio } from "../stats.ts";

const CLIENTS = 8;
const ROWS = 1_000_000;
const WAYS = ["direct", "hoopish"] as const;
const MODES = ["simple", "prepared"] as const;
const SELECT = `SELECT i AS id, i * 7 AS amount, i / 3.0::float8 AS ratio, now() AS seen_at, 'branch ' || i % 100 AS branch,
  'a short remark of row ' || i AS remark, i % 2 = 0 AS open, (i * 13)::int8 AS account_ref, 'EUR' AS currency, random() AS score
  FROM generate_series(1, ${ROWS}) AS i`;

/** pgbench -S and a large answer: straight to PostgreSQL, and through hoopish with masking on, turn about. */
export async function postgresFigure(bench: Bench): Promise<FigureResult> {
  const protocols = await bench.protocols();
  const { postgres } = protocols;
  const ours = { direct: postgres.port, hoopish: postgres.hoopish };
  await postgres.query(`
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, 100000) AS i;
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    INSERT INTO pgbench_branches VALUES (1, 0, '');
    GRANT SELECT ON pgbench_accounts, pgbench_branches TO ${postgres.user}; ANALYZE`);
  const hasPgbench = spawnSync("pgbench", ["--version"]).status === 0;
  const tps = new Map<string, number[]>();
  for (const mode of MODES) {
    for (const round of bench.rounds(`PostgreSQL, ${mode}`, Math.min(3, bench.options.rounds) + 1)) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const perSecond = hasPgbench
          ? await pgbench(ours[way], mode, way, protocols)
          : await selects(ours[way], mode, way, protocols, 3_000);
        await bench.settle();
        if (round > 0) tps.set(`${way} ${mode}`, [...(tps.get(`${way} ${mode}`) ?? []), perSecond]);
      }
    }
  }
  const answers = new Map<string, { mbs: number[]; firstMs: number[] }>();
  const server = [protocols.world.server.pid];
  const before = rssMib(server);
  let most = before;
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
  }
  clearInterval(watch);
  const of = (way: string, mode: string): number[] => tps.get(`${way} ${mode}`) ?? [];
  const answer = (way: string) => answers.get(way) ?? { mbs: [], firstMs: [] };
  const later = median(answer("hoopish").firstMs) - median(answer("direct").firstMs);
  return {
    figure: "postgres",
    tables: [
      {
        title: `PostgreSQL: ${hasPgbench ? "pgbench -S" : "one SELECT by key, pg (no pgbench here)"}, ${CLIENTS} clients`,
        head: ["way", "mode", "transactions/s"],
        rows: MODES.flatMap((mode) => WAYS.map((way) => [way, mode, short(median(of(way, mode)))])),
      },
      {
        title: `PostgreSQL: ${ROWS.toLocaleString("en")} rows of 10 columns, masking on`,
        note: `MB/s of the answer's bytes; first row in ms. The server had ${short(before)} MiB before and ${short(most)} at most.`,
        head: ["way", "MB/s", "first row"],
        rows: WAYS.map((way) => [way, short(median(answer(way).mbs)), short(median(answer(way).firstMs))]),
      },
    ],
    goals: [
      ...MODES.map((mode) =>
        atLeast(
          `PostgreSQL transactions/s ÷ direct, ${mode}`,
          medianRatio(of("hoopish", mode), of("direct", mode)),
          0.3,
        ),
      ),
      atLeast("PostgreSQL rows with masking", median(answer("hoopish").mbs), 40, "MB/s"),
      atMost("PostgreSQL first row later than direct", later, 5, "ms"),
      atMost("server's memory during 1 million rows, more", most - before, 100, "MiB"),
    ],
    broken: [],
    data: { tps: Object.fromEntries(tps), answers: Object.fromEntries(answers), before, most },
  };
}

const signIn = (port: number, way: string, { postgres }: OtherProtocols) => ({
  ...{ host: "127.0.0.1", port, database: postgres.database },
  ...(way === "direct" ? { user: postgres.user, password: postgres.password } : { user: "me", password: "unused" }),
});

async function pgbench(port: number, mode: string, way: string, protocols: OtherProtocols): Promise<number> {
  const { user, password, database } = signIn(port, way, protocols);
  const args = [
    "-S",
    "-n",
    "-M",
    mode,
    "-c",
    String(CLIENTS),
    "-j",
    "1",
    "-T",
    "4",
    "-s",
    "1",
    "-h",
    "127.0.0.1",
    "-p",
    String(port),
    "-U",
    user,
    database,
  ];
  const env = { ...process.env, PGPASSWORD: password, PGSSLMODE: "disable", PGGSSENCMODE: "disable" };
  const { stdout } = await promisify(execFile)("pgbench", args, { env });
  const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new Error(`pgbench told no transactions: ${stdout.slice(0, 300)}`);
  return perSecond;
}

async function selects(
  port: number,
  mode: string,
  way: string,
  protocols: OtherProtocols,
  ms: number,
): Promise<number> {
  const end = performance.now() + ms;
  let done = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new pg.Client(signIn(port, way, protocols));
      await client.connect();
      while (performance.now() < end) {
        const aid = 1 + Math.floor(Math.random() * 100_000);
        if (mode === "simple") await client.query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${aid}`);
        else
          await client.query({
            name: "s",
            text: "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
            values: [aid],
          });
        done += 1;
      }
      await client.end();
    }),
  );
  return (done * 1_000) / ms;
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
