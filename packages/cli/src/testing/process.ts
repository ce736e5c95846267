import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Runs a TypeScript file of this package in a Node of its own, from source. */
export function spawnSource(file: URL, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ["--conditions=@hoopish/source", fileURLToPath(file), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export async function outcome(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}
