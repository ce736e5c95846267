import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** The answer to AuthenticationMD5Password: `md5` and the digest of the password's own digest, with the server's salt. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash("md5").update(`${password}${user}`).digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}
