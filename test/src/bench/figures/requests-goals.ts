import type { PathName } from "../options.ts";
import { atLeast, atMost, type Goal } from "../result.ts";
import { medianRatio } from "../stats.ts";
import type { Series } from "./requests.ts";

/** What issue 2 asks, as ratios within each round. A path that was left out has no goals. */
export function requestGoals(series: readonly Series[]): Goal[] {
  const goals: Goal[] = [];
  const compare = (
    call: Series["call"],
    connections: number,
    other: PathName,
    goal: (hoopish: Series, other: Series) => Goal,
  ): void => {
    const find = (path: PathName): Series | undefined =>
      series.find((one) => one.call === call && one.connections === connections && one.path === path);
    const [ours, theirs] = [find("hoopish"), find(other)];
    if (ours !== undefined && theirs !== undefined) goals.push(goal(ours, theirs));
  };
  compare("chat", 32, "portkey", (ours, theirs) =>
    atLeast("chat req/s ÷ Portkey's, 32 connections", medianRatio(ours.perSecond, theirs.perSecond), 5),
  );
  for (const call of ["chat", "infer"] as const) {
    compare(call, 32, "ssh", (ours, theirs) =>
      atLeast(`${call} req/s ÷ ssh pair's, 32 connections`, medianRatio(ours.perSecond, theirs.perSecond), 0.8),
    );
    compare(call, 1, "ssh", (ours, theirs) =>
      atMost(`${call} p50 ÷ ssh pair's, 1 connection`, medianRatio(ours.p50Ms, theirs.p50Ms), 2),
    );
    for (const connections of [1, 32, 128]) {
      compare(call, connections, "ssh", (ours, theirs) =>
        atMost(`${call} p99 ÷ ssh pair's, ${connections} connections`, medianRatio(ours.p99Ms, theirs.p99Ms), 1),
      );
    }
  }
  return goals;
}
