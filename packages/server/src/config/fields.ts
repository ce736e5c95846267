import { parseDurationMs, parseSizeBytes } from "@hoopish/protocol";
import { z } from "zod";

/**
 * The scalars of a configuration. Every message is our own and says what to write: those of the parsers below quote the
 * value, which may have come from the environment.
 */

/**
 * A text without control characters and half surrogate pairs, which no record can hold, and without spaces around it,
 * which nobody sees and no comparison forgives.
 */
export function text(what: string, max = 256): z.ZodString {
  const error = `write ${what}: 1 to ${max} characters, no control characters, no spaces around it`;
  return z
    .string({ error })
    .max(max, error)
    .regex(/^[^\s\p{Cc}\p{Cs}](?:[^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}])?$/u, error);
}

/** A name by which commands, records and other files mean this thing. */
export function name(what: string): z.ZodString {
  const error = `write ${what}: letters, digits, ".", "_" and "-", at most 63, a letter or digit first`;
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, error);
}

/** `30m` → milliseconds. */
export function duration(min: string, max: string, examples: string = "30s, 15m or 8h"): z.ZodType<number, string> {
  const error = `write a duration from ${min} to ${max}, such as ${examples}`;
  const least = parseDurationMs(min);
  const most = parseDurationMs(max);
  const fits = (value: string): boolean => {
    const ms = quiet(() => parseDurationMs(value));
    return ms !== undefined && ms >= least && ms <= most;
  };
  return z
    .string({ error })
    .regex(/^\d{1,9}(ms|s|m|h|d|w|y)$/, { error, abort: true })
    .refine(fits, error)
    .transform(parseDurationMs);
}

/** `4MiB` → bytes. */
export function size(min: string, max: string): z.ZodType<number, string> {
  const error = `write a size from ${min} to ${max}, such as 512KiB or 4MiB`;
  const least = parseSizeBytes(min);
  const most = parseSizeBytes(max);
  const fits = (value: string): boolean => {
    const bytes = quiet(() => parseSizeBytes(value));
    return bytes !== undefined && bytes >= least && bytes <= most;
  };
  return z
    .string({ error })
    .regex(/^\d{1,9} ?(B|KB|MB|GB|KiB|MiB|GiB)$/, { error, abort: true })
    .refine(fits, error)
    .transform(parseSizeBytes);
}

/** A whole number; as a text too, because what `${env:X}` puts in is a text. */
export function whole(min: number, max: number): z.ZodType<number, number | string> {
  const error = `write a whole number from ${min} to ${max}`;
  const digits = z.string().regex(/^\d{1,9}$/);
  return z
    .union([z.int().min(min, error).max(max, error), digits], { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, error);
}

/** `true` or `false`; as a text too, because what `${env:X}` puts in is a text. */
export function flag(): z.ZodType<boolean, boolean | "true" | "false"> {
  return z
    .union([z.boolean(), z.enum(["true", "false"])], { error: "write true or false" })
    .transform((value) => value === true || value === "true");
}

function quiet<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
