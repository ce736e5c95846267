import type { StoreKeys } from "../database.ts";

/** Keys for tests of the store; they seal nothing that anybody would want to read. */
export const TEST_KEYS: StoreKeys = { vault: Buffer.alloc(32, "a vault key for tests alone") };
