import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "@hoopish/protocol/bundle";
import { describe, expect, it } from "vitest";
import { type SampleBundleOptions, sampleBundle } from "../testing/sample-bundle.ts";
import { type Finished, runCli, type TestWorldOptions, tempDir } from "../testing/world.ts";

interface Tried extends Finished {
  readonly file: string;
  readonly call: string;
}

async function verify(
  options: SampleBundleOptions = {},
  argv: readonly string[] = [],
  world: TestWorldOptions = {},
): Promise<Tried> {
  const { bundle, signer, call } = sampleBundle(options);
  const file = join(tempDir(), "evidence.tar.gz");
  writeFileSync(file, bundle);
  return { ...(await runCli(["audit", "verify", file, "--key", signer.vkey, ...argv], world)), file, call };
}

describe("audit verify", () => {
  it("says what it has checked, and what cannot be seen, and ends with 0", async () => {
    const { code, stdout, stderr } = await verify();
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("✓ verified: what is in this bundle is what the log has signed");
    expect(stdout).toContain("log        gateway.bank.example/hoopish\n");
    expect(stdout).toContain("records    3 (0 to 2)\n");
    expect(stdout).toContain("payloads   1 here and as committed to\n");
    expect(stdout).toContain("by         auditor@bank.example\n");
    expect(stdout).toMatch(/Not to be seen from here\n {2}· no checkpoint known from outside confirms this log/);
  });

  it("names what was changed and where, and ends with 1", async () => {
    const edit = (record: string): string => record.replace('"method":"POST"', '"method":"GET"');
    const { code, stdout } = await verify({ edit });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ tampered/);
    expect(stdout).toMatch(/first bad one is record 0 or one behind it, before 3; root_differs/);
  });

  it("names what is missing, and ends with 2", async () => {
    const { code, stdout, call } = await verify({ withoutPayload: true });
    expect(code).toBe(2);
    expect(stdout).toMatch(/^! incomplete/);
    expect(stdout).toContain(`record 1 commits to ${call}/request, which is not here`);
    expect(stdout).toContain("payloads   1 missing\n");
  });

  it("is the whole report with --json", async () => {
    const { code, stdout } = await verify({ withoutPayload: true }, ["--json"]);
    const report = JSON.parse(stdout) as Report;
    expect(code).toBe(2);
    expect(report).toMatchObject({ verdict: "incomplete", counts: { records: 3, payloads: { MISSING: 1 } } });
    expect(report.findings).toMatchObject([{ code: "payload_missing", where: { index: 1, field: "request" } }]);
  });

  it("takes the bundle from stdin, and keys from a file", async () => {
    const { bundle, signer } = sampleBundle();
    const keys = join(tempDir(), "log.vkey");
    writeFileSync(keys, `# the log's key\n\n${signer.vkey}\n`);
    const piped = await runCli(["audit", "verify", "-", "--key-file", keys], { stdin: bundle });
    expect(piped.code).toBe(0);
    const cut = await runCli(["audit", "verify", "-", "--key-file", keys], { stdin: bundle.subarray(0, 700) });
    expect(cut.code).toBe(1);
    expect(cut.stdout).toContain("archive_truncated");
  });

  it("holds a checkpoint from outside against it", async () => {
    const { bundle, signer, endNote } = sampleBundle();
    const folder = tempDir();
    writeFileSync(join(folder, "b"), bundle);
    writeFileSync(join(folder, "pin"), endNote);
    const argv = ["audit", "verify", join(folder, "b"), "--key", signer.vkey, "--checkpoint", join(folder, "pin")];
    const { code, stdout } = await runCli(argv);
    expect(code).toBe(0);
    expect(stdout).toContain("confirmed by  pin, 3 records");
    expect(stdout).not.toContain("Not to be seen");
    writeFileSync(join(folder, "pin"), endNote.replace("\n3\n", "\n4\n"));
    expect((await runCli(argv)).code).toBe(3);
  });

  it("never lets a bundle drive the terminal", async () => {
    const { code, stdout } = await verify({ requester: "mallory\u001b]0;owned\u0007\u202e" }, [], { tty: true });
    expect(code).toBe(0);
    expect(stdout).toContain("mallory\\x1b]0;owned\\x07\\u202e");
  });

  it.each<[string, string[]]>([
    ["no key", []],
    ["a key that is none", ["--key", "nonsense"]],
    ["a key file that is not there", ["--key-file", "nowhere"]],
    ["a checkpoint that is not there", ["--key", "KEY", "--checkpoint", "nowhere"]],
    ["certificates that are none", ["--key", "KEY", "--tsa-certificates", "FILE"]],
  ])("ends with 3 for %s: no word about the bundle", async (_, argv) => {
    const { bundle, signer } = sampleBundle();
    const file = join(tempDir(), "b");
    writeFileSync(file, bundle);
    const named = argv.map((word) => (word === "KEY" ? signer.vkey : word === "FILE" ? file : word));
    const { code, stdout, stderr } = await runCli(["audit", "verify", file, ...named]);
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/^hoopish: /);
  });

  it("ends with 3 for a file that cannot be read", async () => {
    const { signer } = sampleBundle();
    for (const file of [join(tempDir(), "nowhere"), tempDir()]) {
      expect((await runCli(["audit", "verify", file, "--key", signer.vkey])).code).toBe(3);
    }
  });

  it("ends with 1 for a file that is something else", async () => {
    const { signer } = sampleBundle();
    const file = join(tempDir(), "b");
    for (const bytes of ["", "hello", JSON.stringify({ verdict: "verified" })]) {
      writeFileSync(file, bytes);
      expect((await runCli(["audit", "verify", file, "--key", signer.vkey])).code).toBe(1);
    }
  });
});
