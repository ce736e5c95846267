import { existsSync } from "node:fs";
import { ConfigError, loadConfig } from "../config/load.ts";
import { say, type World } from "./world.ts";

export interface CheckOptions {
  readonly config: string;
  readonly json: boolean;
}

/** Reads the configuration as `start` would, and touches nothing else. @throws ConfigError with every mistake */
export async function check(world: World, { config: file, json }: CheckOptions): Promise<void> {
  try {
    const config = loadConfig(file, world.env);
    const joined = existsSync(config.keyFile);
    const connections = config.connections.map(({ name }) => name);
    const hint = joined ? "" : `; there is no key yet, hoopish-agent join makes one`;
    say(world, json, `${file}: no mistakes (${connections.join(", ")})${hint}`, {
      ok: true,
      file,
      name: config.name,
      connections,
      joined,
    });
  } catch (error) {
    if (json && error instanceof ConfigError) say(world, true, "", { ok: false, file, mistakes: error.mistakes });
    throw error;
  }
}
