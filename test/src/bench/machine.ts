import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { machineCpuMs, ownCpuMs } from "./proc.ts";
import { median } from "./stats.ts";

/** What the figures depend on beside the programs. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** Median time of a 4 KiB write with fdatasync on the disk that holds the log. */
  readonly fdatasyncMs: number;
  readonly commit: string;
}

export function machineFacts(dir: string): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()} ${arch()}`,
    node: process.version,
    fdatasyncMs: fdatasyncMs(join(dir, "fdatasync")),
    commit: commit(),
  };
}

/** Everything that hoopish delivers waits for one of these, so a disk that lies or crawls must show. */
function fdatasyncMs(file: string): number {
  const fd = openSync(file, "w");
  const block = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 30 }, () => {
    const start = performance.now();
    writeSync(fd, block);
    fdatasyncSync(fd);
    return performance.now() - start;
  });
  closeSync(fd);
  rmSync(file);
  return Math.round(median(times) * 100) / 100;
}

/** Measures from now on what share of the machine's CPU other programs take: figures of a busy machine are noise. */
export function watchOthers(): () => number {
  const now = () => ({ ms: performance.now(), machine: machineCpuMs(), own: ownCpuMs() });
  const begin = now();
  return () => {
    const end = now();
    const others = end.machine - begin.machine - (end.own - begin.own);
    return Math.max(0, others / ((end.ms - begin.ms) * cpus().length));
  };
}

/** The commit that is checked out, without running git. */
function commit(): string {
  const git = new URL("../../../.git/", import.meta.url);
  try {
    const head = readFileSync(new URL("HEAD", git), "utf8").trim();
    const hash = head.startsWith("ref: ") ? readFileSync(new URL(head.slice(5), git), "utf8").trim() : head;
    return hash.slice(0, 12);
  } catch {
    return "unknown";
  }
}
