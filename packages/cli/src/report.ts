import type { HoopishError } from "@hoopish/protocol";
import { safeJson, safeLine } from "./terminal/safe-text.ts";
import type { OutputStream } from "./world.ts";

/**
 * Prints an error on stderr: `hoopish: what happened` and `  try: what to do`, or with `--json` the error's body.
 * @returns the exit code of the error's code
 */
export function reportError(error: HoopishError, stderr: OutputStream, json: boolean): number {
  if (json) {
    stderr.write(`${safeJson(error.toBody())}\n`);
  } else {
    stderr.write(`hoopish: ${safeLine(error.message)}\n`);
    if (error.hint !== undefined) stderr.write(`  try: ${safeLine(error.hint)}\n`);
  }
  return error.shape.exit;
}

/** A mistake of ours: nothing of it may be lost, since nobody can look into a server's log for it. */
export async function toReportable(thrown: unknown): Promise<HoopishError> {
  const { HoopishError } = await import("@hoopish/protocol");
  if (thrown instanceof HoopishError) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new HoopishError("internal", `an internal error: ${message}`, {
    hint: "run it again with HOOPISH_DEBUG=1 and report what it prints",
    cause: thrown,
  });
}
