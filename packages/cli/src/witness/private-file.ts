import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { HoopishError } from "@hoopish/protocol";

/** Absent on Windows. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
/** S_ISVTX, which node:fs does not name. */
const STICKY = 0o1000;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The text of a file that decides what is signed: a plain file, ours, which nobody else can write, and for a secret read.
 * @returns undefined when there is none
 * @throws HoopishError configuration
 */
export function readPrivateFile(path: string, uid: number | undefined, secret: boolean): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new HoopishError("configuration", `${path} cannot be read (${code ?? "unknown"})`, { cause });
  }
  try {
    // Asked of the open file, not of the path: what was checked is what is read.
    const { mode, uid: owner, size } = fstatSync(descriptor);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > MAX_BYTES)
      throw unsafe(path, "is not a file of ours");
    if (uid !== undefined && owner !== uid) throw unsafe(path, "belongs to another user");
    if (uid !== undefined && (mode & (secret ? 0o077 : 0o022)) !== 0) {
      throw unsafe(path, `can be ${secret ? "read" : "written"} by other users`);
    }
    if (uid !== undefined) checkFolder(dirname(path));
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** Who can rename files in the folder can put an older one in the place of ours. In a sticky folder only owners can. */
function checkFolder(folder: string): void {
  const { mode } = statSync(folder);
  if ((mode & 0o022) !== 0 && (mode & STICKY) === 0) throw unsafe(folder, "can be written by other users");
}

/** Makes the file, for its owner alone; durable when it returns. @throws HoopishError conflict when it is there already */
export function createPrivateFile(path: string, text: string): void {
  const draft = writeDraft(path, text);
  try {
    // Unlike a rename, a link never takes the place of what is there.
    linkSync(draft, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new HoopishError("conflict", `${path} is there already; it is never overwritten`, {
      hint: "name another file, or move this one away",
      cause,
    });
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(path);
}

/** Puts the text in the place of the file's, whole or not at all; durable when it returns. @throws Error of the system */
export function replacePrivateFile(path: string, text: string): void {
  const draft = writeDraft(path, text);
  try {
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(path);
}

function writeDraft(path: string, text: string): string {
  const draft = `${path}.${randomBytes(6).toString("hex")}.new`;
  const descriptor = openSync(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | NO_FOLLOW, 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return draft;
}

/** The new name must outlive a power cut too. Windows has no such call, and keeps names in its journal. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(dirname(path), constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unsafe(path: string, what: string): HoopishError {
  return new HoopishError("configuration", `${path} ${what}; it is not used`, {
    hint: `chown it to the user of the witness, and chmod 600 ${path}`,
  });
}
