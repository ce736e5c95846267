import { mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import { z } from "zod";
import type { Cursor } from "../../notifications/port.ts";

const contents = z.strictObject({ v: z.literal(1), index: z.number().int().min(-1) });

/**
 * A cursor in a file of its own.
 * @throws HoopishError configuration when something else stands there: to begin anew in silence could lose notices
 */
export function cursorFile(path: string): Cursor {
  let index = read(path);
  return {
    get: () => index,
    async set(next) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(`${path}.new`, "w", 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ v: 1, index: next })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      index = next;
    },
  };
}

function read(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new HoopishError("configuration", `${path} cannot be read`, { cause: error });
  }
  try {
    return contents.parse(JSON.parse(text)).index;
  } catch (cause) {
    throw new HoopishError("configuration", `${path} is not what was written there`, {
      cause,
      hint: "move it away: the endpoint then hears of what comes from now on",
    });
  }
}
