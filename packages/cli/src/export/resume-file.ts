import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import { HoopishError } from "@hoopish/protocol";
import { z } from "zod";
import { readPrivateFile } from "../config/private-file.ts";
import { notWritable, partOf } from "./part-file.ts";

/** What has to be known to go on with a bundle: FILE.part.json beside FILE.part. */
export interface ResumeState {
  readonly v: 1;
  /** Origin of the server (URL). */
  readonly server: string;
  /** Index of the export's own record in the log: by it the server makes the same bytes again. */
  readonly index: number;
}
const stateSchema: z.ZodType<ResumeState> = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  index: z.number().int().nonnegative(),
});

const pathOf = (output: string): string => `${partOf(output)}.json`;

/** @throws HoopishError conflict when one is there already, or the disk does not take it */
export async function writeResumeState(output: string, state: ResumeState): Promise<void> {
  const path = pathOf(output);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  try {
    const handle = await open(path, flags, 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(state)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw notWritable(path, error);
  }
}

/**
 * It says to which server the token goes, and what is put behind what: nobody else may have written it.
 * @throws HoopishError configuration when others could have; conflict when there is none, or not one of ours
 */
export async function readResumeState(output: string, uid: number | undefined): Promise<ResumeState> {
  const path = pathOf(output);
  const text = await readPrivateFile({ path, uid, what: "file to go on with", renew: "export anew" });
  if (text === undefined) {
    throw new HoopishError("conflict", `there is no export into ${output} to go on with: ${path} is not there`, {
      hint: `export anew; rm ${partOf(output)} if it is there`,
    });
  }
  const parsed = stateSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new HoopishError("conflict", `${path} is damaged`, {
    hint: `rm ${path} ${partOf(output)}, and export anew`,
    cause: parsed.error,
  });
}

export async function removeResumeState(output: string): Promise<void> {
  await rm(pathOf(output), { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
