import { HoopishError } from "@hoopish/protocol";

/** Name, message and place of an error. Causes' own fields (which may hold what somebody sent) stay out. */
export function describe(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const cause = error.cause instanceof Error ? { cause: `${error.cause.name}: ${error.cause.message}` } : {};
  const code = error instanceof HoopishError ? { code: error.code } : {};
  return { name: error.name, message: error.message, stack: error.stack, ...code, ...cause };
}
