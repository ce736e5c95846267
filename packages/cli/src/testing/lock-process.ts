/** Takes the lock `rounds` times and adds one to a number in a file each time; without a lock, additions get lost. */
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { withFileLock } from "../auth/file-lock.ts";

const [path = "", counter = "", rounds = "1"] = process.argv.slice(2);
for (let round = 0; round < Number(rounds); round += 1) {
  await withFileLock({ path, host: hostname(), pid: process.pid }, async () => {
    const value = Number(readFileSync(counter, "utf8"));
    await sleep(1);
    writeFileSync(counter, String(value + 1));
  });
}
