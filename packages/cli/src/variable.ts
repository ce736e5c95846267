import type { Env } from "./world.ts";

/** An environment variable; one that is empty is not set. */
export function variable(env: Env, name: string): string | undefined {
  return env[name] || undefined;
}
