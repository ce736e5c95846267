import { closeSync, existsSync, openSync, readdirSync, readlinkSync } from "node:fs";

/** Whether `failWrites` works on this system. */
export const CAN_FAIL_WRITES: boolean = existsSync("/dev/full") && existsSync("/proc/self/fd");

/**
 * From now on every write of this process to a file that it has open fails as on a full disk: its descriptor becomes one
 * of /dev/full. Whoever opens the file again by its name finds it as it was.
 */
export function failWrites(path: string): void {
  const fds = readdirSync("/proc/self/fd").filter((fd) => target(fd) === path);
  if (fds.length === 0) throw new Error(`this process has not opened ${path}`);
  for (const fd of fds.map(Number)) {
    closeSync(fd);
    // The lowest that is free: this one, unless another thread was quicker.
    const got = openSync("/dev/full", "r+");
    if (got !== fd) throw new Error(`descriptor ${fd} went to another thread`);
  }
}

function target(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
