import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A file system of a few MiB, in memory; where this process may mount one. */
export interface SmallDisk {
  readonly path: string;
  /** Leaves no byte of room. */
  fill(): void;
  /** Makes room again. */
  free(): void;
  unmount(): void;
}

/** @returns undefined where nothing can be mounted */
export function mountSmallDisk(path: string, mib: number): SmallDisk | undefined {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=0700`, "none", path], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  const ballast = join(path, "ballast");
  return {
    path,
    fill: () => {
      const fd = openSync(ballast, "a");
      const { bsize } = statfsSync(path);
      try {
        for (;;) writeSync(fd, Buffer.alloc(bsize));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(fd);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    // Lazily: what still has a file open there keeps it, and nobody else sees it.
    unmount: () => execFileSync("umount", ["-l", path], { stdio: "ignore" }),
  };
}
