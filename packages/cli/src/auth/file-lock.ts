import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError } from "@hoopish/protocol";

export interface LockOptions {
  readonly path: string;
  readonly host: string;
  readonly pid: number;
  /** A holder older than this is taken for dead wherever it runs. Longer than any holder works. Default 30 000. */
  readonly staleMs?: number;
  /** Default 45 000: longer than `staleMs`, so that a lock left behind never fails a command. */
  readonly waitMs?: number;
}

interface Holder {
  readonly id: string;
  readonly pid: number;
  readonly host: string;
}

/**
 * Runs `work` while no other process of this user does, through a lock file (O_EXCL: also right on network folders).
 *
 * A lock that its holder left behind is replaced by one process only. Whoever finds lock A stale creates
 * `<path>.after-A` exclusively and renames it over the lock: the name holds A's id, so a second process that still
 * believes in A cannot take away the lock that has replaced it.
 * @throws HoopishError internal when the lock cannot be had in time
 */
export async function withFileLock<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  const mine: Holder = { id: randomBytes(8).toString("hex"), pid: options.pid, host: options.host };
  await acquire(options, mine);
  try {
    return await work();
  } finally {
    // Ours still? A process that took us for dead has its own lock there now.
    if (readHolder(options.path)?.id === mine.id) await rm(options.path, { force: true });
  }
}

async function acquire(options: LockOptions, mine: Holder): Promise<void> {
  const { path, staleMs = 30_000, waitMs = 45_000 } = options;
  const giveUpAt = performance.now() + waitMs;
  for (let delay = 5; ; delay = Math.min(delay * 2, 100)) {
    if (await createExclusive(path, mine)) return;
    if (await replaceStale(path, mine, staleMs)) return;
    if (performance.now() > giveUpAt) {
      throw new HoopishError("internal", "another hoopish command holds a lock for too long", {
        hint: `end it, or remove ${path}`,
      });
    }
    // A little chance, or processes that started together would go on meeting.
    await sleep(delay * (0.5 + Math.random()));
  }
}

async function createExclusive(path: string, holder: Holder): Promise<boolean> {
  try {
    const handle = await open(path, "wx", 0o600);
    await handle.writeFile(JSON.stringify(holder));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes the place of a holder that is gone. False: the lock is alive, or somebody else takes its place. */
async function replaceStale(path: string, mine: Holder, staleMs: number): Promise<boolean> {
  const age = ageMs(path);
  if (age === undefined) return false;
  const holder = readHolder(path);
  // Just created and not written yet, unless it stays so.
  if (holder === undefined ? age < 2_000 : age < staleMs && isAlive(holder, mine.host)) return false;
  const draft = `${path}.after-${holder?.id ?? "nobody"}`;
  if (!(await createExclusive(draft, mine))) {
    // Whoever wanted to replace it has died within two system calls; the next round may try again.
    if ((ageMs(draft) ?? 0) > staleMs) await rm(draft, { force: true });
    return false;
  }
  if (readHolder(path)?.id !== holder?.id) {
    await rm(draft, { force: true });
    return false;
  }
  await rename(draft, path);
  return (await readFile(path, "utf8").catch(() => "")).includes(mine.id);
}

function readHolder(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as Partial<Holder> | null;
    if (typeof holder?.id !== "string" || !/^[0-9a-f]{16}$/.test(holder.id)) return undefined;
    return { id: holder.id, pid: Number(holder.pid), host: String(holder.host) };
  } catch {
    return undefined;
  }
}

function ageMs(path: string): number | undefined {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

/** A process of another machine cannot be asked after: only its lock's age speaks. */
function isAlive(holder: Holder, host: string): boolean {
  if (holder.host !== host) return true;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
