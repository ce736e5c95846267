import { createHash } from "node:crypto";
import { join } from "node:path";
import { type PrivateFile, readPrivateFile, removePrivateFile, writePrivateFile } from "../config/private-file.ts";
import type { Vault } from "./vault.ts";

/**
 * Tokens in a file that only its owner can read: for machines without a keychain, when the person or the bank allows it.
 * @param server the origin whose tokens these are: one file each
 */
export function createFileVault(dir: string, server: string, uid: number | undefined): Vault {
  const name = `tokens-${createHash("sha256").update(server).digest("hex").slice(0, 16)}.json`;
  const file: PrivateFile = { path: join(dir, name), uid, what: "token file", renew: "hoopish login" };
  return {
    kind: "file",
    read: () => readPrivateFile(file),
    write: (secret) => writePrivateFile(file, secret),
    remove: () => removePrivateFile(file),
  };
}
