import { HoopishError, parseCheckpoint } from "@hoopish/protocol";
import { z } from "zod";
import type { Anchor } from "../../evidence/anchors/anchor.ts";
import { DailyFile } from "./daily-file.ts";

export interface FileAnchorOptions {
  /** Absolute. Made when it is not there. */
  readonly folder: string;
  readonly required: boolean;
  readonly now: () => number;
}

const lineSchema = z.strictObject({ time: z.string(), note: z.string() });

/**
 * Every checkpoint as one line, `{"time","note"}`, in the files of a folder: best on another disk, collected by another
 * machine, or made append-only by another user.
 */
export function fileAnchor({ folder, required, now }: FileAnchorOptions): Anchor {
  const file = new DailyFile(folder, "checkpoints", now);
  return {
    name: `anchor file in ${folder}`,
    everyMs: 0,
    required,
    publish: async ({ note }) => {
      await file.append(JSON.stringify({ time: new Date(now()).toISOString(), note }));
      return undefined;
    },
    newest: async () => {
      let newest: string | undefined;
      let size = 0n;
      for await (const line of file.newestLines()) {
        const read = readLine(line);
        if (read === undefined || read.size < size) {
          throw new HoopishError(
            "configuration",
            `what the anchor file in ${folder} holds is not what was written there`,
          );
        }
        newest = read.note;
        size = read.size;
      }
      return newest;
    },
  };
}

/** @returns undefined for a line that this anchor has not written. Its signature is for the caller to check. */
function readLine(line: string): { readonly note: string; readonly size: bigint } | undefined {
  try {
    const { note } = lineSchema.parse(JSON.parse(line));
    const { size } = parseCheckpoint(note.slice(0, note.lastIndexOf("\n\n") + 1));
    return { note, size };
  } catch {
    return undefined;
  }
}
