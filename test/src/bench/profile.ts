import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What V8 writes (https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile). */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const LINES = 40;
/** Frames that are no work. */
const WAITING = new Set(["(idle)", "(root)"]);

/** Prints the functions in which each program spent its time, its threads apart, as shares of the time it was busy. */
export function printProfiles(dir: string): void {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".cpuprofile"));
  for (const name of files.sort()) {
    const file = join(dir, name);
    if (statSync(file).size === 0) continue;
    process.stdout.write(`${name}\n${summary(JSON.parse(readFileSync(file, "utf8")) as CpuProfile)}\n`);
  }
}

function summary({ nodes, samples, timeDeltas }: CpuProfile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const own = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined || WAITING.has(frame.functionName)) continue;
    const us = timeDeltas[index] ?? 0;
    const place =
      frame.url === "" ? "" : ` ${frame.url.replace(/^.*\/((?:[^/]+\/){0,3}[^/]+)$/, "$1")}:${frame.lineNumber + 1}`;
    const key = `${frame.functionName || "(anonymous)"}${place}`;
    own.set(key, (own.get(key) ?? 0) + us);
    busy += us;
  }
  const lines = [...own]
    .sort(([, a], [, b]) => b - a)
    .slice(0, LINES)
    .map(([key, us]) => `  ${((100 * us) / busy).toFixed(1).padStart(5)} %  ${key}`);
  return [`  busy ${(busy / 1e6).toFixed(1)} s`, ...lines, ""].join("\n");
}
