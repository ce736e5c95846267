import { mkdirSync, statSync } from "node:fs";
import { HoopishError } from "@hoopish/protocol";

/**
 * Makes the folder for us alone, or checks it: who can write in it could put another token file, or another lock, in
 * the place of ours. On Windows the folder inherits the access list of the user's profile.
 * @throws HoopishError configuration
 */
export function ensurePrivateDir(dir: string, uid: number | undefined): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (uid === undefined) return;
    const { mode, uid: owner } = statSync(dir);
    if (owner !== uid) throw new HoopishError("configuration", `${dir} belongs to another user`, { hint: ownDir });
    if ((mode & 0o022) !== 0) {
      throw new HoopishError("configuration", `${dir} can be written by other users`, { hint: `chmod 700 ${dir}` });
    }
  } catch (error) {
    if (error instanceof HoopishError) throw error;
    throw new HoopishError("configuration", `the configuration folder ${dir} cannot be used`, {
      hint: ownDir,
      cause: error,
    });
  }
}

const ownDir = "name a folder of your own with --config-dir or HOOPISH_CONFIG_DIR";
