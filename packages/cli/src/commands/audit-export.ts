import { open, rename, rm, stat } from "node:fs/promises";
import { Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HoopishError } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import { networkError } from "../http/network-error.ts";
import { formatBytes } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export interface AuditExportOptions {
  readonly since: string;
  readonly until?: string;
  readonly format: "jsonl" | "csv" | "ocsf";
  readonly payloads?: boolean;
  /** A file, or `-` for stdout. */
  readonly output: string;
  readonly force?: boolean;
}

/**
 * The log of a time as one file. It grows under the name FILE.part and gets its own only when the server has ended the
 * stream well, so that a file that looks complete is complete. On stdout the exit code says it.
 */
export async function auditExport(context: Context, options: AuditExportOptions): Promise<void> {
  const { format, payloads } = options;
  const query = {
    since: apiTime(options.since, context),
    until: apiTime(options.until, context),
    format,
    payloads: payloads ? true : undefined,
  };
  const toStdout = options.output === "-";
  if (toStdout && context.world.stdout.isTTY) {
    throw new HoopishError("usage", "an export holds what models wrote, and a terminal may obey it", {
      hint: "name a file with -o, or pipe it into another program",
    });
  }
  if (!toStdout && !options.force && (await exists(options.output))) {
    throw new HoopishError("conflict", `${options.output} is already there`, { hint: "another name, or --force" });
  }
  const api = await context.api();
  await observeCheckpoint(context, api);
  const fetch = async (to: Writable, end: boolean): Promise<Counted> => {
    const { body } = await api.stream("/api/v1/audit/export", query);
    const counter = new Counter();
    try {
      // pipeline waits for the slower side, and fails when the server breaks off before the end of its stream.
      await pipeline(body, counter, to, { end, signal: context.signal });
    } catch (error) {
      if (context.signal.aborted || isLocal(error)) throw error;
      throw broken(error);
    }
    return counter;
  };

  if (toStdout) {
    await fetch(context.world.stdout, false).catch((error: unknown) => {
      // For other commands a reader that has had enough is no failure; of an export he has only a part.
      const gone = isLocal(error) || context.interrupts.stop?.by === "pipe";
      throw gone ? new HoopishError("conflict", "stdout was closed before the export was complete") : error;
    });
    return;
  }
  const { bytes, lines } = await writeWhole(options.output, options.force ?? false, (to) => fetch(to, true));
  const done = { file: options.output, format, bytes, lines };
  context.output.show(done, (safe, style) => [
    `${style.good("✓")} ${safe.lines} lines, ${formatBytes(safe.bytes)}, in ${safe.file}`,
  ]);
}

async function writeWhole<T>(path: string, force: boolean, fill: (to: Writable) => Promise<T>): Promise<T> {
  const part = `${path}.part`;
  try {
    if (force) await rm(part, { force: true });
    // Never into a file that is there: two exports into one part, and the first to end would name half of the other.
    // 0600: it holds people's names, and bodies if asked for.
    const handle = await open(part, "wx", 0o600);
    try {
      const result = await fill(handle.createWriteStream({ flush: true }));
      await rename(part, path);
      await syncFolderOf(path);
      return result;
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      throw new HoopishError("conflict", `${part} is there: another export runs, or one was cut off`, {
        hint: `if none runs, rm ${part}, or --force`,
      });
    }
    if (!isLocal(error)) throw error;
    throw new HoopishError("conflict", `${path} cannot be written: ${(error as Error).message}`, {
      hint: "check the folder, its permissions and the space left",
      cause: error,
    });
  }
}

/** The new name must survive a power cut as the content does; where folders cannot be opened (Windows) it does not matter. */
async function syncFolderOf(path: string): Promise<void> {
  const { dirname } = await import("node:path");
  const folder = await open(dirname(path)).catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

interface Counted {
  readonly bytes: number;
  readonly lines: number;
}

class Counter extends Transform implements Counted {
  bytes = 0;
  lines = 0;

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.length;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) this.lines += 1;
    done(null, chunk);
  }
}

/** What only the file system or stdout say, and no network. */
const LOCAL: readonly (string | undefined)[] = [
  "EPIPE",
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  "EACCES",
  "EISDIR",
  "ENOENT",
  "EROFS",
];

function isLocal(error: unknown): boolean {
  return LOCAL.includes((error as NodeJS.ErrnoException).code);
}

function broken(cause: unknown): HoopishError {
  const { hint } = networkError(cause, "");
  return new HoopishError("internal", "the server broke the export off; nothing was kept of it", {
    hint: hint === undefined ? "run it again" : `run it again (${hint})`,
    cause,
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
