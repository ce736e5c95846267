/** One of several real processes that all want a fresh token: prints the access token it got. */
import { hostname } from "node:os";
import { createFileVault } from "../auth/file-vault.ts";
import { freshTokens } from "../auth/refresh.ts";
import { createHttp } from "../http/http.ts";

const [configDir = "", server = ""] = process.argv.slice(2);
const uid = process.getuid?.();
const http = createHttp({}, new AbortController().signal);
try {
  const { tokens } = await freshTokens({
    vault: createFileVault(configDir, server, uid),
    http: async () => http,
    now: Date.now,
    configDir,
    host: hostname(),
    uid,
  });
  process.stdout.write(tokens.accessToken);
} finally {
  await http.close();
}
