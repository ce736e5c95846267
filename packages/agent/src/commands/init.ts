import { writeFileSync } from "node:fs";
import { HoopishError } from "@hoopish/protocol";
import { SAMPLE_CONFIG } from "../config/sample.ts";
import { say, type World } from "./world.ts";

export interface InitOptions {
  readonly config: string;
  readonly json: boolean;
}

/** Writes a commented configuration. @throws HoopishError conflict: the file exists; configuration: it cannot be written */
export async function init(world: World, { config: file, json }: InitOptions): Promise<void> {
  try {
    writeFileSync(file, SAMPLE_CONFIG, { flag: "wx", mode: 0o640 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      throw new HoopishError("conflict", `${file} exists and is left as it is`, { hint: "name another with --config" });
    }
    throw new HoopishError("configuration", `${file} cannot be written (${code ?? "unknown error"})`, { cause: error });
  }
  say(world, json, `wrote ${file}; fill it in, then: hoopish-agent check, join, start --config ${file}`, { file });
}
