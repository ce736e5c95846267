import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TEST_KEYS } from "./testing/keys.ts";
import { verifyStore } from "./verify/verify-store.ts";

/** Opens the store when it is told to, writes some, and closes it when it is told to. */
const SERVER = `
  import { createInterface } from "node:readline";
  const { openSqliteStore } = await import(process.env.STORE);
  const { TEST_KEYS } = await import(process.env.KEYS);
  const say = (line) => process.stdout.write(line + "\\n");
  let store;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "close") {
      await store?.close();
      store = undefined;
      say("closed");
      continue;
    }
    try {
      store = await openSqliteStore({ path: process.env.DB, keys: TEST_KEYS, replica: process.env.NAME });
      for (let i = 0; i < 20; i++) await store.log.append([{ type: "server.stopped", reason: "r" + i }]);
      say("open");
    } catch (error) {
      say("refused " + error.code + " " + error.message);
    }
  }
`;

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  // Nothing here is about the disk.
  folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "hoopish-two-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Server {
  ask(line: string): Promise<string>;
}

function start(name: string): Server {
  const file = (path: string): string => new URL(path, import.meta.url).href;
  const child = spawn(
    process.execPath,
    ["--conditions=@hoopish/source", "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", SERVER],
    {
      cwd: fileURLToPath(new URL("../../../", import.meta.url)),
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        NAME: name,
        DB: join(folder, "hoopish.db"),
        STORE: file("./store.ts"),
        KEYS: file("./testing/keys.ts"),
      },
    },
  );
  children.push(child);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  return {
    ask: async (line) => {
      child.stdin?.write(`${line}\n`);
      return String((await lines.next()).value);
    },
  };
}

test("of two servers that start in the same moment exactly one gets the store, ten times", {
  timeout: 60_000,
}, async () => {
  const servers = [start("gw-1"), start("gw-2")] as const;
  for (let round = 1; round <= 10; round++) {
    const answers = await Promise.all(servers.map((server) => server.ask("open")));
    expect(
      answers.filter((answer) => answer === "open"),
      answers.join("; "),
    ).toHaveLength(1);
    const refused = answers.find((answer) => answer !== "open");
    expect(refused).toMatch(/^refused configuration another hoopish-server uses this store/);
    // The one that was refused must not have loosened the other's lock.
    const loser = servers[answers.indexOf("open") === 0 ? 1 : 0];
    expect(await loser.ask("open")).toMatch(/another hoopish-server/);
    const verdict = verifyStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS });
    expect(verdict.findings).toEqual([]);
    await Promise.all(servers.map((server) => server.ask("close")));
    expect(verifyStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS })).toMatchObject({
      records: 20 * round,
      findings: [],
    });
  }
});
