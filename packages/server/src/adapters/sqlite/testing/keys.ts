import { createPrivateKey } from "node:crypto";
import { formatLogKey } from "@hoopish/protocol";
import type { StoreKeys } from "../database.ts";

/** RFC 8410 §7: what stands before the 32 bytes of an Ed25519 private key. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const seed = Buffer.alloc(32, "a log key for tests alone");
const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });

/** Keys for tests of the store; they seal nothing that anybody would want to read. */
export const TEST_KEYS: StoreKeys = {
  vault: Buffer.alloc(32, "a vault key for tests alone"),
  log: { origin: "gateway.bank.example/hoopish", privateKey: formatLogKey(key) },
};
