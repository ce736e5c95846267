import type { Bench } from "../bench.ts";
import type { Endpoint } from "../helper/jobs.ts";
import type { PathName } from "../options.ts";
import type { Path } from "../paths/path.ts";
import { cpuMs, rssMib, watchRss } from "../proc.ts";
import { type FigureResult, type Goal, short, type Table } from "../result.ts";
import { median } from "../stats.ts";
import { requestGoals } from "./requests-goals.ts";

/** The same small request on every path that carries it. */
interface Call {
  readonly name: "chat" | "infer";
  readonly title: string;
  readonly path: string;
  readonly body: string;
  readonly endpoint: (path: Path) => Endpoint | undefined;
}

const CALLS: readonly Call[] = [
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
  failed: number;
}

const WARM_MS = 200;
/** Before the first round: V8 compiles the busy parts of a program again and again for some ten thousand requests. */
const FIRST_WARM_MS = 2500;

export async function requestsFigure(bench: Bench): Promise<FigureResult> {
  const series = new Map<string, Series>();
  const tables: Table[] = [];
  await warmUp(bench);
  for (const call of CALLS) {
    for (const _ of bench.rounds(`requests (${call.name})`, bench.options.rounds)) {
      for (const connections of bench.options.connections) {
        for (const path of bench.paths) await measure(bench, call, path, connections, series);
      }
    }
    const own = [...series.values()].filter((one) => one.call === call.name);
    tables.push(speedTable(call, own, bench.options), cpuTable(call, own, bench));
  }
  const all = [...series.values()];
  const goals: Goal[] = requestGoals(all);
  const broken = all
    .filter(({ failed }) => failed > 0)
    .map(({ path, call, connections, failed }) => `${failed} ${call} requests failed on ${path} at ${connections}`);
  return { figure: "requests", tables, goals, broken, data: all };
}

async function warmUp(bench: Bench): Promise<void> {
  const measureMs = Math.min(FIRST_WARM_MS, bench.options.seconds * 2500);
  for (const call of CALLS) {
    for (const path of bench.paths) {
      const endpoint = call.endpoint(path);
      if (endpoint === undefined) continue;
      const { name: _name, title: _title, endpoint: _endpoint, ...ask } = call;
      await bench.load.run("requests", { ...endpoint, ...ask, connections: 32, warmMs: 0, measureMs });
      await bench.settle();
    }
  }
}

async function measure(
  bench: Bench,
  call: Call,
  path: Path,
  connections: number,
  all: Map<string, Series>,
): Promise<void> {
  const endpoint = call.endpoint(path);
  if (endpoint === undefined) return;
  const series = seriesOf(all, call, path, connections);
  const processes = { ...path.processes(), model: bench.model.pid === undefined ? [] : [bench.model.pid] };
  const before = Object.entries(processes).map(([role, pids]) => [role, pids, cpuMs(pids)] as const);
  const memory = watchRss(processes);
  const done = await bench.load.run("requests", {
    ...endpoint,
    path: call.path,
    body: call.body,
    connections,
    warmMs: WARM_MS,
    measureMs: bench.options.seconds * 1000,
  });
  const most = memory.stop();
  series.perSecond.push(done.perSecond);
  series.p50Ms.push(done.p50Ms);
  series.p99Ms.push(done.p99Ms);
  series.failed += done.failed;
  for (const [role, pids, was] of before) {
    push(series.cpuMs, role, (cpuMs(pids) - was) / done.answers);
    push(series.rssMib, role, most[role] ?? rssMib(pids));
  }
  await bench.settle();
}

function push(into: Record<string, number[]>, role: string, value: number): void {
  into[role] = [...(into[role] ?? []), value];
}

function seriesOf(all: Map<string, Series>, call: Call, { name: path }: Path, connections: number): Series {
  const key = `${call.name} ${path} ${connections}`;
  const fresh = { perSecond: [], p50Ms: [], p99Ms: [], cpuMs: {}, rssMib: {}, failed: 0 };
  const series = all.get(key) ?? { call: call.name, path, connections, ...fresh };
  all.set(key, series);
  return series;
}

function speedTable(call: Call, series: readonly Series[], options: Bench["options"]): Table {
  const paths = [...new Set(series.map(({ path }) => path))];
  const cells = (path: PathName, connections: number): string[] => {
    const one = series.find((it) => it.path === path && it.connections === connections);
    return one === undefined ? ["–", "–", "–"] : [one.perSecond, one.p50Ms, one.p99Ms].map((of) => short(median(of)));
  };
  return {
    title: `Requests a second: ${call.title}`,
    note: `Keep-alive connections; medians of ${series[0]?.perSecond.length ?? 0} rounds of ${options.seconds} s; latencies in ms.`,
    head: ["path", ...options.connections.flatMap((count) => [`${count}: req/s`, "p50", "p99"])],
    rows: paths.map((path) => [path, ...options.connections.flatMap((connections) => cells(path, connections))]),
  };
}

function cpuTable(call: Call, series: readonly Series[], { options }: Bench): Table {
  const rows = series
    .filter(({ connections }) => connections === options.connections.at(1) || options.connections.length === 1)
    .flatMap(({ path, cpuMs: cpu, rssMib: rss }) =>
      Object.keys(cpu)
        .filter((role) => role !== "model" || path === "direct")
        .map((role) => [
          path,
          role,
          short(median((cpu[role] ?? []).map((ms) => ms * 1000))),
          short(median(rss[role] ?? [])),
        ]),
    );
  return {
    title: `CPU and memory by process: ${call.name}, ${options.connections.at(1) ?? options.connections[0]} connections`,
    note: "µs of CPU a request (all threads, user and system), and most resident memory (MiB) meanwhile.",
    head: ["path", "process", "µs a request", "RSS MiB"],
    rows,
  };
}
