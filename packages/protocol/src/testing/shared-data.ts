import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Third-party test data stands beside the repository, in `../shared/data`, and is no part of it. */
const FOLDER = fileURLToPath(new URL("../../../../../shared/data", import.meta.url));

/**
 * Path of a file or folder of the third-party test data. Where it is absent, says so and returns undefined: the test
 * that needs it is then skipped (`describe.skipIf(path === undefined)`), never passed.
 */
export function sharedData(name: string): string | undefined {
  const path = join(FOLDER, name);
  if (existsSync(path)) return path;
  process.stderr.write(`skipped: the test data ../shared/data/${name} is not beside this repository\n`);
  return undefined;
}
