import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/** util-linux's `script` runs a program on a terminal of its own. */
const hasScript = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") ?? false;

const PROGRAM = `
import { readKey } from ${JSON.stringify(fileURLToPath(new URL("./key.ts", import.meta.url)))};
const stop = new AbortController();
console.log("ready");
try {
  const key = await readKey(process.stdin, stop.signal, () => stop.abort(new Error("interrupted")));
  console.log("key", JSON.stringify(key), "raw", String(process.stdin.isRaw));
} catch (error) {
  console.log(error.message, "raw", String(process.stdin.isRaw));
}`;

async function press(keys: string): Promise<string> {
  const node = `${process.execPath} --input-type=module -e '${PROGRAM}'`;
  const child = spawn("script", ["-qec", node, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await expect.poll(() => text, { timeout: 10_000 }).toContain("ready");
  // The terminal is in its raw mode a moment after that.
  await new Promise((resolve) => setTimeout(resolve, 200));
  child.stdin.write(keys);
  await once(child, "exit");
  return text;
}

describe.skipIf(!hasScript)("a key on a real terminal (skipped without util-linux's script)", () => {
  it("is there when it is pressed, without a return, and the terminal is as it was", async () => {
    expect(await press("q")).toContain('key "q" raw false');
  });

  it("Ctrl-C interrupts", async () => {
    expect(await press("\u0003")).toContain("interrupted raw false");
  });
});
