import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Gateway, json } from "./testing/gateway.ts";
import { outcome } from "./testing/process.ts";
import { runCli, tempDir } from "./testing/world.ts";
import { VERSION } from "./version.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "bin", "hoopish.mjs");

it("knows its own version", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  expect(VERSION).toBe(version);
});

/** A Node older than 24, where the machine has one besides the repository's own. */
const oldNode = ["/usr/bin/node", "/usr/local/bin/node"].find((path) => {
  if (!existsSync(path)) return false;
  return Number(execFileSync(path, ["-p", "process.versions.node.split('.')[0]"], { encoding: "utf8" })) < 24;
});

it.skipIf(oldNode === undefined)("says which Node it needs, on an old one, and exits with 78", () => {
  const { status, stderr } = spawnSync(oldNode ?? "", [bin, "--version"], { encoding: "utf8" });
  expect(status).toBe(78);
  expect(stderr).toMatch(/^hoopish: Node \d+\.\S+ is too old, hoopish needs Node 24 or newer\n {2}try: /);
});

// What is run here was built by `tsc -b`.
describe.skipIf(!existsSync(join(root, "dist", "main.js")))("the program", () => {
  it("starts in 120 ms", () => {
    const times = Array.from({ length: 7 }, () => {
      const since = performance.now();
      expect(execFileSync(process.execPath, [bin, "--version"], { encoding: "utf8" })).toBe(`${VERSION}\n`);
      return performance.now() - since;
    });
    // The best of some: what it takes itself, and not what others do on this machine.
    expect(Math.min(...times)).toBeLessThan(120);
  });

  it("ends quietly when its reader has gone away", async () => {
    const many = Array.from({ length: 5_000 }, (_, n) => ({ name: `c-${n}`, protocol: "http", api: "openai" }));
    const view = { online: true, requireReason: false, rules: [] };
    const gateway = await Gateway.start({
      routes: {
        "GET /api/v1/connections": (_request, response) =>
          json(response, { connections: many.map((one) => ({ ...one, ...view })) }),
      },
    });
    const env = { ...process.env, HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", HOOPISH_CONFIG_DIR: tempDir() };
    const child = spawn("sh", ["-c", `"$0" "$1" connections; echo "rc $?" >&2`, process.execPath, bin], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const { stderr } = await outcome(child);
    await gateway.close();
    expect(stderr).toBe("rc 0\n");
  });

  it("fails an export whose reader has gone away: he has only a part of it", async () => {
    const gateway = await Gateway.start({
      routes: {
        "GET /api/v1/audit/export": (_request, response) => {
          for (let n = 0; n < 20_000; n += 1) response.write(`{"index":${n},"record":{"x":"${"y".repeat(100)}"}}\n`);
          response.end();
        },
      },
    });
    const env = { ...process.env, HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", HOOPISH_CONFIG_DIR: tempDir() };
    const child = spawn("sh", ["-c", `"$0" "$1" audit export --since 1h; echo "rc $?" >&2`, process.execPath, bin], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const { stderr } = await outcome(child);
    await gateway.close();
    expect(stderr).toBe("hoopish: stdout was closed before the export was complete\nrc 1\n");
  });

  it("ends on SIGINT with 130 and without a stack", async () => {
    const gateway = await Gateway.start({ routes: { "GET /api/v1/connections": () => {} } });
    const env = { ...process.env, HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", HOOPISH_CONFIG_DIR: tempDir() };
    const child = spawn(process.execPath, [bin, "connections"], { env, stdio: ["ignore", "pipe", "pipe"] });
    const over = outcome(child);
    await expect.poll(() => gateway.requests.at(-1)?.path, { timeout: 5_000 }).toBe("/api/v1/connections");
    child.kill("SIGINT");
    expect(await over).toEqual({ code: 130, stdout: "", stderr: "" });
    await gateway.close();
  });
});

describe("hoopish agent …, hoopish server …", () => {
  it("runs the program on the PATH, with its arguments, and exits with its code", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "bin"));
    const program = join(dir, "bin", "hoopish-relay");
    writeFileSync(program, `#!/bin/sh\nexit 7\n`);
    chmodSync(program, 0o755);
    const { onPath } = await import("./external.ts");
    expect(onPath("hoopish-relay", { PATH: `:${dir}/nowhere:${join(dir, "bin")}` }, "linux")).toBe(program);
    expect(onPath("hoopish-relay", { PATH: "" }, "linux")).toBeUndefined();
    chmodSync(program, 0o644);
    expect(onPath("hoopish-relay", { PATH: join(dir, "bin") }, "linux")).toBeUndefined();
  });

  it("keeps its own words, and its help", async () => {
    expect((await runCli(["agent", "--help"])).stdout).toContain("enroll");
    expect((await runCli(["agent", "list"])).stderr).toContain("no server is known");
  });
});
