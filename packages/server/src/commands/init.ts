import { writeFileSync } from "node:fs";
import { formatLogKey, HoopishError, newLogKey } from "@hoopish/protocol";
import { initConfig } from "../config/init.ts";
import { newVaultKeyFile } from "../config/key-files.ts";

/** The configuration goes to standard output, everything else to standard error. A key that is there is never touched. */
export function init(keys: boolean): void {
  process.stdout.write(initConfig());
  if (!keys) return;
  const made = [
    ["log.key", formatLogKey(newLogKey())],
    ["vault.key", newVaultKeyFile()],
  ].flatMap(([path = "", content = ""]) => {
    try {
      writeFileSync(path, content, { flag: "wx", mode: 0o600 });
      return [path];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return [];
      throw new HoopishError("configuration", `${path} cannot be written here: ${(error as Error).message}`);
    }
  });
  if (made.length > 0)
    process.stderr.write(`hoopish-server: made ${made.join(" and ")}; keep copies away from this machine\n`);
  else process.stderr.write("hoopish-server: log.key and vault.key are here already, and stay as they are\n");
}
