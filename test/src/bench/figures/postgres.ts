import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import type { Bench } from "../bench.ts";
import type { OtherProtocols } from "../paths/other-protocols.ts";
import { atLeast, type FigureResult, short } from "../result.ts";
import { median, medianRatio } from "../stats.ts";
import { signIn } from "./postgres-sign-in.ts";

const CLIENTS = 8;
const WAYS = ["direct", "hoopish"] as const;
const MODES = ["simple", "prepared"] as const;
/** pgbench -S: straight to PostgreSQL, and through hoopish with masking on, turn about. */
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
  const of = (way: string, mode: string): number[] => tps.get(`${way} ${mode}`) ?? [];
  return {
    figure: "postgres",
    tables: [
      {
        title: `PostgreSQL: ${hasPgbench ? "pgbench -S" : "one SELECT by key, pg (no pgbench here)"}, ${CLIENTS} clients`,
        head: ["way", "mode", "transactions/s"],
        rows: MODES.flatMap((mode) => WAYS.map((way) => [way, mode, short(median(of(way, mode)))])),
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
    ],
    broken: [],
    data: { tps: Object.fromEntries(tps) },
  };
}

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
