import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../world/free-port.ts";
import { Program } from "../../world/program.ts";
import { bearer, type Model, type Path } from "./path.ts";

/**
 * Pinned, so that runs can be compared. With @hono/node-server after 1.14 the gateway answers every stream with status
 * 500 (Portkey-AI/gateway issues 1389 and 1550), so an older one is put in its place.
 */
const MANIFEST = JSON.stringify({
  private: true,
  dependencies: { "@portkey-ai/gateway": "1.15.2" },
  overrides: { "@hono/node-server": "1.13.8" },
});
const INSTALL_MS = 90_000;

/**
 * Installs the gateway from npm into `dir`, which is no part of the project's dependencies.
 * @throws Error why it cannot be had.
 */
export async function installPortkey(dir: string, keep: (program: Program) => void): Promise<string> {
  const main = join(dir, "node_modules/@portkey-ai/gateway/build/start-server.js");
  const manifest = join(dir, "package.json");
  if (existsSync(main) && existsSync(manifest) && readFileSync(manifest, "utf8") === MANIFEST) return main;
  mkdirSync(dir, { recursive: true });
  writeFileSync(manifest, MANIFEST);
  const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = new Program(
    "npm install",
    spawn("npm", ["install", "--prefix", dir, ...flags], { stdio: ["ignore", "pipe", "pipe"] }),
  );
  keep(npm);
  const timer = setTimeout(() => void npm.stop("SIGTERM"), INSTALL_MS);
  const { code } = await npm.ended;
  clearTimeout(timer);
  if (code !== 0 || !existsSync(main)) throw new Error(`npm could not install it: ${npm.stderr.slice(0, 300)}`);
  return main;
}

/** Portkey's gateway: an HTTP proxy for AI APIs in one hop. It records nothing to disk and waits for nothing durable. */
export async function portkeyPath(
  dir: string,
  model: Model,
  tapUrl: string,
  keep: (program: Program) => void,
): Promise<Path> {
  const main = await installPortkey(dir, keep);
  const port = await freePort();
  const program = new Program(
    "portkey",
    spawn(process.execPath, [main, "--headless", `--port=${port}`], {
      cwd: dir,
      // Its own list of hosts that may be named by a request; loopback is in it by default, and said here to be sure.
      env: { PATH: process.env.PATH, NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost" },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  keep(program);
  await program.until(() => program.stdout.includes("Ready for connections") || undefined);
  const endpoint = (target: string) => ({
    origin: `http://127.0.0.1:${port}`,
    headers: {
      ...bearer(model.credential),
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `${target}/v1`,
      // It passes on no header that it does not know unless told to.
      "x-portkey-forward-headers": "x-test-token-delay",
    },
  });
  return {
    name: "portkey",
    chat: endpoint(model.url),
    timed: endpoint(tapUrl),
    processes: () => ({ portkey: [program.pid] }),
  };
}
