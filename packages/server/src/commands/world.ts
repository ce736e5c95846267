import { readFileSync } from "node:fs";

/** What the configuration may read besides itself. */
export const world: { readonly env: NodeJS.ProcessEnv; readFile(path: string): Buffer } = {
  env: process.env,
  readFile: (path: string): Buffer => readFileSync(path),
};
