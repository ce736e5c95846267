import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import { ensurePrivateDir } from "../config/private-dir.ts";
import type { Vault } from "./vault.ts";

const MAX_BYTES = 256 * 1024;

/** Absent on Windows, where a link cannot be put into the user's profile by others either. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Tokens in a file that only its owner can read: for machines without a keychain, when the person or the bank allows it.
 * The file is made 0600 under another name and renamed, so that it is never open to others and never half written.
 * @param server the origin whose tokens these are: one file each
 */
export function createFileVault(dir: string, server: string, uid: number | undefined): Vault {
  const name = `tokens-${createHash("sha256").update(server).digest("hex").slice(0, 16)}.json`;
  const path = join(dir, name);
  return {
    kind: "file",
    read: () => readPrivate(path, uid),
    write: async (secret) => {
      ensurePrivateDir(dir, uid);
      const draft = `${path}.${randomBytes(6).toString("hex")}.new`;
      const handle = await open(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | NO_FOLLOW, 0o600);
      try {
        await handle.writeFile(secret);
        await handle.sync();
        await handle.close();
        await rename(draft, path);
      } catch (error) {
        await handle.close().catch(() => {});
        await rm(draft, { force: true });
        throw error;
      }
    },
    remove: async () => {
      try {
        await rm(path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
        throw error;
      }
    },
  };
}

async function readPrivate(path: string, uid: number | undefined): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP" || code === "EMLINK") throw unsafe(path, "is a link", `rm ${path}, then hoopish login`);
    throw new HoopishError("configuration", `${path} cannot be read`, { hint: "hoopish login", cause: error });
  }
  try {
    // Asked of the open file, not of the path: what was checked is what is read.
    const { mode, uid: owner, size } = await handle.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > MAX_BYTES) {
      throw unsafe(path, "is not a token file", `rm ${path}, then hoopish login`);
    }
    if (uid !== undefined && owner !== uid) throw unsafe(path, "belongs to another user", "hoopish login");
    if (uid !== undefined && (mode & 0o077) !== 0) {
      throw unsafe(path, "can be read by other users", `chmod 600 ${path}; if others were here, hoopish login again`);
    }
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function unsafe(path: string, what: string, hint: string): HoopishError {
  return new HoopishError("configuration", `the token file ${path} ${what}; it is not used`, { hint });
}
