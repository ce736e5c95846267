import { readdirSync, readFileSync } from "node:fs";

/** What Linux says of processes (proc_pid_stat(5), proc_pid_status(5)). Elsewhere these figures are left out. */
export const procAvailable: boolean = process.platform === "linux";

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

/** User and system time of all threads of the processes so far, milliseconds. */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = read(`/proc/${pid}/stat`);
    // The second field is the program's name and may hold anything, so count from its closing bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks * MS_A_TICK;
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
