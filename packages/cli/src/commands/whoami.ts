import { whoamiSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import { details } from "../terminal/table.ts";
import { formatDistance, formatTime } from "../terminal/units.ts";

const STORAGE_WORDS: Readonly<Record<string, string>> = {
  keychain: "this system's keychain",
  file: "a file that only you can read (no keychain)",
  HOOPISH_TOKEN: "the environment variable HOOPISH_TOKEN",
  HOOPISH_TOKEN_FILE: "the file that HOOPISH_TOKEN_FILE names",
};

/** Who the server says we are, until when, and where our tokens are. */
export async function whoami(context: Context): Promise<void> {
  const server = await context.server();
  const { origin } = await context.tokens();
  const api = await context.api();
  await observeCheckpoint(context, api);
  const who = await api.get("/api/v1/whoami", whoamiSchema);
  context.output.show({ ...who, server, storage: origin }, (safe, style) =>
    details(
      [
        ["user", style.strong(safe.user)],
        ["name", safe.name],
        ["kind", safe.kind],
        ["groups", safe.groups.join(", ") || "none"],
        ["roles", safe.roles.join(", ")],
        ["issuer", safe.issuer],
        ["server", safe.server],
        ["token", `ends ${formatDistance(safe.expiresAt, context.world.now())} (${formatTime(safe.expiresAt)})`],
        ["kept in", STORAGE_WORDS[safe.storage]],
      ],
      style,
    ),
  );
}
