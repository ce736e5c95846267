import { existsSync } from "node:fs";
import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import Conf from "conf";
import { z } from "zod";
import { ensurePrivateDir } from "./private-dir.ts";

/** What the CLI remembers between commands. No secret is ever here. */
export interface SettingsData {
  /** Origin of the server of the last login. */
  readonly server?: string;
  /** Where the tokens of each server (origin) are. */
  readonly storage?: Readonly<Record<string, "keychain" | "file">>;
  /** Local port of each connection: `<origin> <name>` → port. */
  readonly ports?: Readonly<Record<string, number>>;
}
const settingsSchema: z.ZodType<SettingsData> = z.object({
  server: z.string().exactOptional(),
  storage: z.record(z.string(), z.enum(["keychain", "file"])).exactOptional(),
  ports: z.record(z.string(), z.number().int().min(1).max(65_535)).exactOptional(),
});

export interface Settings {
  /** Reads the file each time: another command may have changed it. */
  read(): SettingsData;
  update(change: (now: SettingsData) => SettingsData): void;
}

/** Opens `config.json` of the configuration folder, which is made when something is first written. */
export function openSettings(dir: string, uid: number | undefined): Settings {
  const open = (): Conf =>
    new Conf({
      cwd: dir,
      configName: "config",
      configFileMode: 0o600,
      accessPropertiesByDotNotation: false,
      clearInvalidConfig: false,
    });
  const read = (): SettingsData => {
    // conf makes the folder even to read from it, and a command that only looks must leave nothing behind.
    if (!existsSync(join(dir, "config.json"))) return {};
    try {
      return settingsSchema.parse(open().store);
    } catch (cause) {
      throw new HoopishError("configuration", `the settings in ${dir} cannot be read`, {
        hint: `look at ${dir}/config.json, or remove it and sign in again`,
        cause,
      });
    }
  };
  return {
    read,
    update: (change) => {
      ensurePrivateDir(dir, uid);
      open().store = change(read()) as Record<string, unknown>;
    },
  };
}
