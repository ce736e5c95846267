import { statSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { checkConfig } from "../config/load.ts";
import { formatMistake } from "../config/mistake.ts";
import type { HoopishServer } from "../server.ts";
import { describe } from "./describe-error.ts";
import { world } from "./world.ts";

/** Editors write a file in several steps: what stands there when they are done is what counts. */
const SETTLE_MS = 300;

/** SIGHUP, or a file that changes: the rules are read anew. One that is not good changes nothing, and is said loudly. */
export function reloadOnChange(file: string, config: Config, server: HoopishServer, logger: Logger): void {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let last = "";
  const reload = (by: string): void => {
    running = running
      .then(() => reloadPolicy(by))
      .catch((error: unknown) => {
        logger.error({ error: describe(error) }, "the rules could not be read anew");
      });
  };
  const reloadPolicy = async (by: string): Promise<void> => {
    const checked = checkConfig(file, world);
    if ("mistakes" in checked) {
      const reason = checked.mistakes.map(formatMistake).join("\n");
      // A file that is being written changes many times; each state of it is complained of once.
      if (reason === last && by !== "SIGHUP") return;
      last = reason;
      logger.error(
        { by, mistakes: checked.mistakes },
        "the changed configuration is not good: the rules in force stay",
      );
      await server.refuseReload(reason, by);
      return;
    }
    last = "";
    const stale = needsRestart(config, checked.config);
    if (stale.length > 0) logger.warn({ keys: stale }, "these changes come into force with a restart");
    if (await server.reload(checked.config, by)) logger.info({ by }, "other rules are in force");
  };
  process.on("SIGHUP", () => reload("SIGHUP"));
  // By name in its folder: editors and Kubernetes put another file in its place.
  const watcher = watch(dirname(resolve(file)), () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const changed = statSync(file, { throwIfNoEntry: false });
      const stamp = changed === undefined ? "" : `${changed.ino} ${changed.mtimeMs} ${changed.size}`;
      if (stamp !== seen && changed !== undefined) reload("the file changed");
      seen = stamp;
    }, SETTLE_MS).unref();
  });
  const first = statSync(file);
  let seen = `${first.ino} ${first.mtimeMs} ${first.size}`;
  watcher.on("error", (error) =>
    logger.warn({ error: describe(error) }, "the configuration's folder cannot be watched"),
  );
  watcher.unref();
}

/** Top-level keys whose change a running server does not take. */
function needsRestart(old: Config, next: Config): string[] {
  const live: ReadonlySet<string> = new Set(["rules", "roles", "timeZone", "masking", "tests"]);
  const keys = Object.keys(next) as (keyof Config)[];
  return keys.filter((key) => !live.has(key) && JSON.stringify(old[key]) !== JSON.stringify(next[key]));
}
