import { closeSync, constants, fstatSync, fsyncSync, openSync, writeSync } from "node:fs";

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
/** Only what a log's own key has signed comes here; even so it must not fill the disk. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Signed notes that the witness refused because they do not go on from what it has seen: one a line, `{"time","reason",
 * "note"}`. Two of one size with different roots prove by themselves that the log has shown two histories.
 * @throws Error of the system
 */
export function keepFinding(path: string, time: string, reason: string, note: string): void {
  const flags = constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY | NO_FOLLOW;
  const descriptor = openSync(path, flags, 0o600);
  try {
    if (fstatSync(descriptor).size > MAX_BYTES) return;
    writeSync(descriptor, `${JSON.stringify({ time, reason, note })}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
