import { randomBytes } from "node:crypto";
import { parseLogKey } from "@hoopish/protocol";

/** What the evidence's two key files hold. Neither file's bytes ever stand in a message. */

export const LOG_KEY_ERROR = "holds no Ed25519 private key in PEM (PKCS#8), as `hoopish-server init` makes one";
export const VAULT_KEY_ERROR = "holds no 32 bytes in base64, as `hoopish-server init` makes them";

export function isLogKey(bytes: Uint8Array): boolean {
  try {
    parseLogKey(Buffer.from(bytes));
    return true;
  } catch {
    return false;
  }
}

export const isVaultKey = (bytes: Uint8Array): boolean => parseVaultKey(bytes) !== undefined;

const VAULT_KEY_BYTES = 32;

/** The key in a vault key file: one line of base64 (RFC 4648 §4, padded). Undefined: it is not that. */
export function parseVaultKey(bytes: Uint8Array): Buffer | undefined {
  const text = Buffer.from(bytes).toString("latin1").trim();
  const key = Buffer.from(text, "base64");
  return key.length === VAULT_KEY_BYTES && key.toString("base64") === text ? key : undefined;
}

export const newVaultKeyFile = (): string => `${randomBytes(VAULT_KEY_BYTES).toString("base64")}\n`;
