import { verifyStore } from "../adapters/sqlite/verify/verify-store.ts";
import { loadConfig } from "../config/load.ts";
import { storeKeys } from "./keys.ts";
import { world } from "./world.ts";

/** Beside a running server or without one; it changes nothing. */
export function verify(file: string, tables: boolean, json: boolean): void {
  const { store, evidence } = loadConfig(file, world);
  const startMs = performance.now();
  const verdict = verifyStore({ path: store.path, keys: storeKeys(evidence), tables });
  const { records, checkpoints, findings } = verdict;
  const ok = findings.length === 0;
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  if (json) process.stdout.write(`${JSON.stringify({ ok, ...verdict })}\n`);
  else {
    for (const { message } of findings) process.stdout.write(`✗ ${message}\n`);
    if (ok) process.stdout.write(`${records} records fit ${checkpoints} signed checkpoints (${seconds} s)\n`);
  }
  process.exitCode = ok ? 0 : 1;
}
