import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { HoopishError } from "@hoopish/protocol";

/** The agent's own key pair (Ed25519, RFC 8032). The private half stays in its file and in this object. */
export interface AgentKey {
  /** Raw 32 bytes, base64. */
  readonly publicKey: string;
  /** Signature over `bytes`, base64. */
  sign(bytes: Uint8Array): string;
  /** The file may be read by others than its owner. */
  readonly exposed: boolean;
}

/** Reads the key file (PKCS #8, PEM). @throws HoopishError configuration, with a hint when there is no file yet */
export function loadAgentKey(file: string): AgentKey {
  let pem: string;
  let mode: number;
  try {
    pem = readFileSync(file, "utf8");
    mode = statSync(file).mode;
  } catch (error) {
    if (isMissing(error)) {
      throw new HoopishError("configuration", `there is no key at ${file}`, { hint: "hoopish-agent join makes one" });
    }
    throw new HoopishError("configuration", `the key ${file} cannot be read`, { cause: error });
  }
  return keyOf(parse(pem, file), process.platform !== "win32" && (mode & 0o077) !== 0);
}

/**
 * The key of the file, which is made, for its owner's eyes only, when there is none. A file that exists is never written.
 * @throws HoopishError configuration
 */
export function loadOrCreateAgentKey(file: string): { readonly key: AgentKey; readonly created: boolean } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  let descriptor: number;
  try {
    descriptor = openSync(file, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return { key: loadAgentKey(file), created: false };
    throw new HoopishError("configuration", `the key ${file} cannot be written`, { cause: error });
  }
  try {
    writeSync(descriptor, pem);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { key: keyOf(privateKey, false), created: true };
}

function parse(pem: string, file: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // What OpenSSL says of it may quote it.
  }
  throw new HoopishError("configuration", `${file} holds no Ed25519 private key (PKCS #8, PEM)`, {
    hint: "keyFile must name a file of the agent's own; it is never overwritten",
  });
}

function keyOf(privateKey: KeyObject, exposed: boolean): AgentKey {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return {
    publicKey: Buffer.from(x, "base64url").toString("base64"),
    sign: (bytes) => sign(null, bytes, privateKey).toString("base64"),
    exposed,
  };
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
