import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import { ensurePrivateDir } from "./private-dir.ts";

export interface PrivateFile {
  readonly path: string;
  /** Who we are; absent where the system has no numeric users. */
  readonly uid: number | undefined;
  /** What it is in messages, such as "token file". */
  readonly what: string;
  /** How to come to a new one. */
  readonly renew: string;
}

const MAX_BYTES = 2 * 1024 * 1024;

/** Absent on Windows, where a link cannot be put into the user's profile by others either. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Writes a file that only its owner can read. It is made 0600 under another name and renamed, so that it is never open
 * to others and never half written.
 */
export async function writePrivateFile({ path, uid }: PrivateFile, content: string): Promise<void> {
  ensurePrivateDir(dirname(path), uid);
  const draft = `${path}.${randomBytes(6).toString("hex")}.new`;
  const handle = await open(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | NO_FOLLOW, 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await rename(draft, path);
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(draft, { force: true });
    throw error;
  }
}

/** @returns undefined when there is none @throws HoopishError configuration when others could have written or read it */
export async function readPrivateFile(file: PrivateFile): Promise<string | undefined> {
  const { path, uid, what, renew } = file;
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP" || code === "EMLINK") throw unsafe(file, "is a link", `rm ${path}, then ${renew}`);
    throw new HoopishError("configuration", `${path} cannot be read`, { hint: renew, cause: error });
  }
  try {
    // Asked of the open file, not of the path: what was checked is what is read.
    const { mode, uid: owner, size } = await handle.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > MAX_BYTES) {
      throw unsafe(file, `is not a ${what}`, `rm ${path}, then ${renew}`);
    }
    if (uid !== undefined && owner !== uid) throw unsafe(file, "belongs to another user", renew);
    if (uid !== undefined && (mode & 0o077) !== 0) {
      throw unsafe(file, "can be read by other users", `chmod 600 ${path}; if others were here, ${renew} again`);
    }
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** @returns whether there was one */
export async function removePrivateFile({ path }: PrivateFile): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function unsafe({ path, what }: PrivateFile, why: string, hint: string): HoopishError {
  return new HoopishError("configuration", `the ${what} ${path} ${why}; it is not used`, { hint });
}
