import { readFileSync } from "node:fs";
import { ed25519Signer, HoopishError, parseLogKey } from "@hoopish/protocol";
import type { StoreKeys } from "../adapters/sqlite/database.ts";
import type { Config } from "../config/config.ts";
import { parseVaultKey } from "../config/key-files.ts";

export const vkeyOf = (origin: string, pem: Buffer): string => ed25519Signer(origin, parseLogKey(pem)).vkey;

/** The two key files. @throws HoopishError configuration when one was changed since the configuration was checked */
export function storeKeys({ origin, keyFile, vaultKeyFile, previousKeys }: Config["evidence"]): StoreKeys {
  const vault = parseVaultKey(readFileSync(vaultKeyFile));
  if (vault === undefined) throw new HoopishError("configuration", `${vaultKeyFile} holds no vault key`);
  return { vault, log: { origin, privateKey: readFileSync(keyFile, "utf8"), previous: previousKeys } };
}
