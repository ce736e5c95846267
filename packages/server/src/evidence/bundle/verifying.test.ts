import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ed25519Signer, newLogKey } from "@hoopish/protocol";
import type { Verdict } from "@hoopish/protocol/bundle";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { filesOf } from "./testing/archive.ts";
import { ORIGIN, SyntheticLog, sampleDay } from "./testing/synthetic-log.ts";
import { bundleOf, changed, edit, editRecords, verify } from "./testing/verdict.ts";
import { VERIFY_GUIDE } from "./verify-guide.ts";

/** docs/verifying.md, followed to the letter with openssl, sha256sum, jq and a shell: it must say what the verifier says. */

const page = readFileSync(new URL("../../../../../docs/verifying.md", import.meta.url), "utf8");
const COMMANDS = [...page.matchAll(/^~~~sh\n(.*?)^~~~$/gms)].map((block) => block[1]).join("\n");

const isThere = (tool: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const hasPython = isThere("python3");
const TOOLS = ["sh", "openssl", "sha256sum", "gzip", "tar", "jq", "awk"];
const absent = TOOLS.filter((tool) => !isThere(tool));
const oldOpenssl =
  !absent.includes("openssl") && !/OpenSSL [3-9]/.test(execFileSync("openssl", ["version"], { encoding: "utf8" }));

interface Followed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function follow(bundle: Buffer, key: string): Promise<Followed> {
  const folder = mkdtempSync(join(tmpdir(), "hoopish-verifying-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "evidence.tar.gz"), bundle);
  const child = spawn("sh", ["-u", "-c", COMMANDS], { cwd: folder, env: { PATH: process.env.PATH, KEY: key } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

const EXIT: Readonly<Record<Verdict, number>> = { verified: 0, tampered: 1, incomplete: 2 };

test("VERIFY.md is the page of the documentation", async () => {
  expect(VERIFY_GUIDE).toBe(page);
  expect(COMMANDS.length).toBeGreaterThan(3_000);
  const [first] = filesOf(await bundleOf(sampleDay().export()));
  expect([first?.path, first?.content.toString()]).toEqual(["VERIFY.md", page]);
});

const why = absent.length > 0 ? `absent here: ${absent.join(", ")}` : "OpenSSL is older than 3";
describe.skipIf(absent.length > 0 || oldOpenssl)(
  `the page's commands (skipped where a tool is not there${absent.length > 0 || oldOpenssl ? `; ${why}` : ""})`,
  { timeout: 60_000 },
  () => {
    // The shell needs a second for some dozen records.
    const key = ed25519Signer(ORIGIN, newLogKey());
    const day = (): SyntheticLog => sampleDay(new SyntheticLog(key), 4);
    let log: SyntheticLog;
    let bundle: Buffer;
    let tail: Buffer;
    beforeAll(async () => {
      log = day();
      bundle = await bundleOf(log.export());
      tail = await bundleOf(day().export({ start: 9 }));
    });

    async function agree(changedBundle: Buffer, key: string, words: readonly string[] = []): Promise<Followed> {
      const report = await verify(changedBundle, [key]);
      const followed = await follow(changedBundle, key);
      expect([followed.code, followed.stdout + followed.stderr]).toEqual([EXIT[report.verdict], expect.anything()]);
      for (const word of words) expect(followed.stdout).toContain(word);
      return followed;
    }

    test("say verified of a good bundle, from the beginning and from a checkpoint", async () => {
      const whole = await agree(bundle, log.signer.vkey, ["8 payloads are what the records commit to; 2 were purged"]);
      expect(whole.stdout).not.toContain("BAD");
      expect(whole.stderr).toBe("");
      const part = await agree(tail, log.signer.vkey, ["the left edge folds to the root of the 9 records before"]);
      expect(part.stderr).toBe("");
    });

    test.skipIf(!hasPython)("give the end's size and root in Python too (skipped where it is not there)", () => {
      const folder = mkdtempSync(join(tmpdir(), "hoopish-verifying-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      for (const evidence of [bundle, tail]) {
        writeFileSync(join(folder, "evidence.tar.gz"), evidence);
        execFileSync("tar", ["-xzf", "evidence.tar.gz"], { cwd: folder });
        const script = /^~~~python\n(.*?)^~~~$/ms.exec(page)?.[1] as string;
        const printed = execFileSync("python3", ["-c", script], { cwd: folder, encoding: "utf8" });
        const note = readFileSync(join(folder, "checkpoints/end.note"), "utf8");
        expect(printed.trim().split("\n")).toEqual(note.split("\n").slice(1, 3));
      }
    });

    test("say incomplete where a payload or a record of a process is missing", async () => {
      const lossy = day();
      const path = [...lossy.vault.keys()][0] as string;
      lossy.vault.delete(path);
      await agree(await bundleOf(lossy.export()), log.signer.vkey, [`MISSING: payloads/${path}`]);
      const gap = day();
      gap.append({ type: "server.stopped", reason: "x" }, "boot-2", 9);
      await agree(await bundleOf(gap.export()), log.signer.vkey, ["gap boot-2"]);
    });

    test("know what was not asked for", async () => {
      const filters = { user: "analyst@bank.example" };
      const few = await bundleOf(day().export({ filters }));
      await agree(few, log.signer.vkey, ["4 payloads are what"]);
      const none = await bundleOf(day().export({ payloads: false }));
      await agree(none, log.signer.vkey, ["0 payloads are what"]);
    });

    test.each<[string, () => Buffer, string]>([
      [
        "an edited record",
        () =>
          changed(
            bundle,
            editRecords((lines) => lines.map((line) => line.replace("model-x", "model-y"))),
            log.signer,
          ),
        "the records do not have the root",
      ],
      [
        "a truncated tail",
        () =>
          changed(
            bundle,
            editRecords((lines) => lines.slice(0, -1)),
            log.signer,
          ),
        "17 records instead of 18",
      ],
      [
        "an edited payload",
        () =>
          changed(
            bundle,
            edit(/request$/, (old) => old.toString().replace("borrow", "barrow")),
            log.signer,
          ),
        "is not what was committed to",
      ],
      [
        "an edited payload whose sums were left",
        () =>
          changed(
            bundle,
            edit(/request$/, (old) => old.toString().replace("borrow", "barrow")),
          ),
        "a file is not what is listed",
      ],
      [
        "an edited left edge",
        () =>
          changed(
            tail,
            edit("left-edge.json", (old) => old.toString().replace(/":\["./, '":["A')),
            log.signer,
          ),
        "left-edge.json",
      ],
      [
        "a manifest that another key has signed",
        () => changed(bundle, (files) => files, ed25519Signer(ORIGIN, newLogKey())),
        "the log's key has not signed manifest.note",
      ],
      [
        "a file more",
        () => changed(bundle, (files) => files.toSpliced(-2, 0, { path: "views/x", content: Buffer.from("x") })),
        "files and lists differ",
      ],
    ])("say tampered of %s", async (_, make, words) => {
      await agree(make(), log.signer.vkey, [words]);
    });

    test("say tampered for another key of the same name", async () => {
      await agree(bundle, ed25519Signer(ORIGIN, newLogKey()).vkey, ["has not signed checkpoints/end.note"]);
    });
  },
);
