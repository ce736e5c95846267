import { join } from "node:path";

/** Arguments with which a program runs under V8's CPU profiler; none without a folder. */
export const profiled = (dir: string | undefined, program: string): string[] =>
  dir === undefined ? [] : ["--cpu-prof", "--cpu-prof-interval=250", `--cpu-prof-dir=${join(dir, program)}`];
