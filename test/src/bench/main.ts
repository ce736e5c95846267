/** `npm run bench`: measures hoopish beside other ways to a model server. `--help` says how. */
import { mkdirSync, writeFileSync } from "node:fs";
import { type Bench, openBench, SCRATCH } from "./bench.ts";
import { besideFigure } from "./figures/beside.ts";
import { bulkFigure } from "./figures/bulk.ts";
import { grpcFigure } from "./figures/grpc.ts";
import { logFigure } from "./figures/log.ts";
import { maskingFigure } from "./figures/masking.ts";
import { memoryFigure } from "./figures/memory.ts";
import { postgresFigure } from "./figures/postgres.ts";
import { requestsFigure } from "./figures/requests.ts";
import { rowsFigure } from "./figures/rows.ts";
import { streamFigure } from "./figures/stream.ts";
import { streamsFigure } from "./figures/streams.ts";
import { Lifetime } from "./lifetime.ts";
import { type Machine, machineFacts, watchOthers } from "./machine.ts";
import { type BenchOptions, type FigureName, HELP, readOptions } from "./options.ts";
import { printProfiles } from "./profile.ts";
import type { FigureResult } from "./result.ts";
import { goalsTable, machineTable, type RunFacts, renderTable } from "./table.ts";

/** In the order in which they run: memory while the programs are fresh, what disturbs most at the end. */
const RUN: Readonly<Record<FigureName, (bench: Bench) => Promise<FigureResult>>> = {
  memory: memoryFigure,
  requests: requestsFigure,
  log: logFigure,
  masking: maskingFigure,
  stream: streamFigure,
  streams: streamsFigure,
  bulk: bulkFigure,
  beside: besideFigure,
  grpc: grpcFigure,
  postgres: postgresFigure,
  rows: rowsFigure,
};

// Nothing that was started may hold the process once it has been ended.
process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  let options: BenchOptions | "help";
  try {
    options = readOptions(argv);
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n  try: npm run bench -- --help\n`);
    return 3;
  }
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const lifetime = new Lifetime();
  lifetime.endOnSignals();
  try {
    return await measure(options, lifetime);
  } catch (error) {
    if (!lifetime.over) process.stderr.write(`bench: ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  } finally {
    await lifetime.close();
    if (options.profile !== undefined) printProfiles(options.profile);
  }
}

async function measure(options: BenchOptions, lifetime: Lifetime): Promise<number> {
  const start = performance.now();
  mkdirSync(SCRATCH, { recursive: true });
  const machine = machineFacts(SCRATCH);
  const othersShare = watchOthers();
  const bench = await openBench(options, lifetime);
  const results: FigureResult[] = [];
  const broken: string[] = [];
  const written: string[] = [];
  const print = (text: string): void => {
    written.push(text);
    process.stdout.write(`${text}\n`);
  };
  for (const name of options.figures) {
    try {
      const result = await RUN[name](bench);
      results.push(result);
      broken.push(...result.broken);
      for (const table of result.tables) print(renderTable(table));
    } catch (error) {
      if (lifetime.over) return 1;
      broken.push(`${name}: ${messageOf(error)}`);
    }
  }
  const goals = results.flatMap((result) => result.goals);
  if (goals.length > 0) print(renderTable(goalsTable(goals)));
  const facts: RunFacts = { tookMs: performance.now() - start, othersCpu: othersShare(), leftOut: bench.leftOut };
  print(renderTable(machineTable(machine, facts)));
  for (const what of broken) process.stderr.write(`bench: broken: ${what}\n`);
  save(options, { machine, facts, broken, results }, written.join("\n"));
  return broken.length === 0 ? 0 : 1;
}

interface Saved {
  readonly machine: Machine;
  readonly facts: RunFacts;
  readonly broken: readonly string[];
  readonly results: readonly FigureResult[];
}

function save(options: BenchOptions, { results, ...rest }: Saved, markdown: string): void {
  const { json, markdown: file, profile: _profile, ...asked } = options;
  const figures = results.map(({ figure, goals, data }) => ({ figure, goals, data }));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...rest, options: asked, figures }, null, 1)}\n`);
  if (file !== undefined) writeFileSync(file, markdown);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
