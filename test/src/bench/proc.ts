import { readdirSync, readFileSync } from "node:fs";
import { sum } from "./stats.ts";

/** What Linux says of processes: proc_pid_stat(5), proc_pid_status(5). */

/** Linux counts a process' time in ticks of 1/100 s on all platforms that Node runs on (USER_HZ). */
const MS_A_TICK = 10;

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It has ended: it uses nothing.
    return "";
  }
}

/** utime, stime, and those of children that have ended and were waited for: cutime, cstime. */
function times(pid: number): readonly number[] {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the program's name and may hold anything, so count from its closing bracket.
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .map(Number);
}

/** User and system time of all threads of the processes so far, milliseconds. */
export const cpuMs = (pids: readonly number[]): number =>
  MS_A_TICK * sum(pids.map((pid) => sum(times(pid).slice(0, 2))));

/** The same of this process and all that it has started, ended or not. */
export function ownCpuMs(): number {
  return MS_A_TICK * sum([process.pid, ...descendants(process.pid)].map((pid) => sum(times(pid))));
}

/** What all programs of the machine together have used since it was started, milliseconds (proc_stat(5)). */
export function machineCpuMs(): number {
  const [user = 0, nice = 0, system = 0, _idle, _iowait, irq = 0, softirq = 0, steal = 0] =
    /^cpu +(.*)$/m.exec(read("/proc/stat"))?.[1]?.split(" ").map(Number) ?? [];
  return MS_A_TICK * (user + nice + system + irq + softirq + steal);
}

/** Resident memory of the processes, MiB. */
export function rssMib(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) kib += Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  return kib / 1024;
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  let threads: string[] = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

/** Children, their children, and so on. */
export function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

/** Program and arguments, separated by spaces. */
export const commandLine = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();

/** Samples resident memory until stopped. */
export function watchRss(pids: Readonly<Record<string, readonly number[]>>): { stop(): Record<string, number> } {
  const most: Record<string, number> = {};
  const look = (): void => {
    for (const [role, group] of Object.entries(pids)) most[role] = Math.max(most[role] ?? 0, rssMib(group));
  };
  look();
  const timer = setInterval(look, 50);
  return {
    stop() {
      clearInterval(timer);
      look();
      return most;
    },
  };
}
