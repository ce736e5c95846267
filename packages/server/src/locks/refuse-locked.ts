import { HoopishError } from "@hoopish/protocol";
import type { Locks } from "./port.ts";

/** @throws HoopishError access_denied for a user who is locked out; why stands in the log, for those who may read it */
export function refuseLocked(user: string, locks: Locks): void {
  if (locks.find("user", user) === undefined) return;
  throw new HoopishError("access_denied", `${user} is locked`, {
    hint: "an administrator lifts a lock: hoopish unlock",
  });
}
