import type { BenchOptions, PathName } from "../options.ts";
import { short, type Table } from "../result.ts";
import { median } from "../stats.ts";
import type { Call, Series } from "./requests.ts";

export function speedTable(call: Call, series: readonly Series[], options: BenchOptions): Table {
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

export function cpuTable(call: Call, series: readonly Series[], options: BenchOptions): Table {
  // 32 connections, where they are among those that were asked for.
  const shown = options.connections.includes(32) ? 32 : options.connections[0];
  const rows = series
    .filter(({ connections }) => connections === shown)
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
    title: `CPU and memory by process: ${call.name}, ${shown} connections`,
    note: "µs of CPU a request (all threads, user and system), and most resident memory (MiB) meanwhile.",
    head: ["path", "process", "µs a request", "RSS MiB"],
    rows,
  };
}
