import type { Bench } from "../bench.ts";
import type { Endpoint } from "../helper/jobs.ts";
import type { RequestsDone } from "../helper/requests.ts";
import type { PathName } from "../options.ts";
import { bearer, type Path } from "../paths/path.ts";
import { cpuMs, watchRss } from "../proc.ts";
import type { FigureResult, Table } from "../result.ts";
import { append } from "../stats.ts";
import { requestGoals } from "./requests-goals.ts";
import { cpuTable, speedTable } from "./requests-tables.ts";

/** The same small request on every path that carries it. */
export interface Call {
  readonly name: "chat" | "infer";
  readonly title: string;
  readonly path: string;
  readonly body: string;
  readonly endpoint: (path: Path) => Endpoint | undefined;
}

export const CALLS: readonly Call[] = [
  {
    name: "chat",
    title: "POST /v1/chat/completions, 16 tokens in one answer",
    path: "/v1/chat/completions",
    body: JSON.stringify({
      model: "credit-policy-writer",
      max_tokens: 16,
      messages: [{ role: "user", content: "What is the policy on late payments?" }],
    }),
    endpoint: ({ chat }) => ({ ...chat, headers: { ...chat.headers, "x-test-token-delay": "0" } }),
  },
  {
    name: "infer",
    title: "POST /v2/models/credit/infer, one row",
    path: "/v2/models/credit/infer",
    body: JSON.stringify({
      inputs: [{ name: "rows", datatype: "FP64", shape: [1, 8], data: [9000, 42000, 0.31, 640, 2, 1, 5, 36] }],
    }),
    endpoint: ({ infer }) => infer,
  },
];

/** One path at one number of connections; an entry a round. */
export interface Series {
  readonly call: Call["name"];
  readonly path: PathName;
  readonly connections: number;
  readonly perSecond: number[];
  readonly p50Ms: number[];
  readonly p99Ms: number[];
  /** Milliseconds of CPU a request, by process. */
  readonly cpuMs: Record<string, number[]>;
  /** Most resident memory while it ran, MiB, by process. */
  readonly rssMib: Record<string, number[]>;
  /** Share of the machine that other programs took, of the turn of all paths. */
  readonly othersCpu: number[];
  failed: number;
}

const WARM_MS = 200;
const WAKE_MS = 400;
/** Before the first round: V8 compiles the busy parts of a program again and again for some ten thousand requests. */
const FIRST_WARM_MS = 2500;

export async function requestsFigure(bench: Bench): Promise<FigureResult> {
  const all = new Map<string, Series>();
  const tables: Table[] = [];
  await warmUp(bench);
  for (const call of CALLS) {
    for (const round of bench.rounds(`requests (${call.name})`, bench.options.rounds)) {
      for (const connections of bench.options.connections) {
        const paths = bench.inTurn(round);
        const { result, othersCpu } = await bench.patience.measure(() => oneTurn(bench, call, paths, connections));
        for (const one of result) keep(one, othersCpu, seriesOf(all, call, one.path, connections));
      }
    }
    const own = [...all.values()].filter((one) => one.call === call.name);
    tables.push(speedTable(call, own, bench.options), cpuTable(call, own, bench.options));
  }
  const series = [...all.values()];
  const broken = series
    .filter(({ failed }) => failed > 0)
    .map(({ path, call, connections, failed }) => `${failed} ${call} requests failed on ${path} at ${connections}`);
  return { figure: "requests", tables, goals: requestGoals(series), broken, data: series };
}

async function warmUp(bench: Bench): Promise<void> {
  const measureMs = bench.options.seconds < 1 ? FIRST_WARM_MS * 0.6 : FIRST_WARM_MS;
  for (const { path, body, endpoint } of CALLS) {
    for (const to of bench.paths.map(endpoint)) {
      if (to === undefined) continue;
      await bench.load.run("requests", { ...to, path, body, connections: 32, warmMs: 0, measureMs });
      await bench.settle();
    }
  }
}

export interface Measured {
  readonly path: Path;
  readonly done: RequestsDone;
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly rssMib: Readonly<Record<string, number>>;
}

/** All paths, one right after the other. */
async function oneTurn(bench: Bench, call: Call, paths: readonly Path[], connections: number): Promise<Measured[]> {
  const turn: Measured[] = [];
  await wake(bench, call, connections);
  for (const path of paths) {
    const endpoint = call.endpoint(path);
    if (endpoint !== undefined) turn.push(await measure(bench, call, path, endpoint, connections));
    await bench.settle();
  }
  return turn;
}

/** A virtual machine that was idle is slow for a while: no path shall be the one that wakes it. */
export async function wake(bench: Bench, { path, body }: Call, connections: number): Promise<void> {
  const { url: origin, credential } = bench.model;
  const ask = { origin, headers: bearer(credential), path, body, connections, warmMs: 0, measureMs: WAKE_MS };
  await bench.load.run("requests", ask);
}

export async function measure(
  bench: Bench,
  { path, body }: Call,
  over: Path,
  endpoint: Endpoint,
  connections: number,
): Promise<Measured> {
  const processes = { ...over.processes(), model: bench.model.pid === undefined ? [] : [bench.model.pid] };
  const cpu = () => Object.fromEntries(Object.entries(processes).map(([role, pids]) => [role, cpuMs(pids)]));
  const before = cpu();
  const memory = watchRss(processes);
  const measureMs = bench.options.seconds * 1000;
  const done = await bench.load.run("requests", { ...endpoint, path, body, connections, warmMs: WARM_MS, measureMs });
  const rss = memory.stop();
  const after = Object.entries(cpu());
  const aRequest = after.map(([role, ms]) => [role, (ms - (before[role] ?? 0)) / done.answers] as const);
  return { path: over, done, cpuMs: Object.fromEntries(aRequest), rssMib: rss };
}

function keep({ done, cpuMs: cpu, rssMib: rss }: Measured, othersCpu: number, series: Series): void {
  series.perSecond.push(done.perSecond);
  series.p50Ms.push(done.p50Ms);
  series.p99Ms.push(done.p99Ms);
  series.othersCpu.push(othersCpu);
  series.failed += done.failed;
  append(series.cpuMs, cpu);
  append(series.rssMib, rss);
}

function seriesOf(all: Map<string, Series>, call: Call, { name: path }: Path, connections: number): Series {
  const key = `${call.name} ${path} ${connections}`;
  const fresh = { perSecond: [], p50Ms: [], p99Ms: [], cpuMs: {}, rssMib: {}, othersCpu: [], failed: 0 };
  const series = all.get(key) ?? { call: call.name, path, connections, ...fresh };
  all.set(key, series);
  return series;
}
