import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { Shell } from "./completion.ts";
import { runCli } from "./testing/world.ts";

const script = async (shell: Shell): Promise<string> => (await runCli(["completion", shell])).stdout;
const present = (program: string): boolean => spawnSync(program, ["--version"]).status === 0;

describe.skipIf(!present("bash"))("bash", () => {
  async function complete(...words: string[]): Promise<string[]> {
    const driver = `
${await script("bash")}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_hoopish
printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", driver], { encoding: "utf8" }).split("\n").filter(Boolean);
  }

  it.each([
    [
      ["hoopish", "lo"],
      ["login", "logout", "lock", "locks"],
    ],
    [["hoopish", "audit", ""], expect.arrayContaining(["list", "show", "export", "--json"])],
    [
      ["hoopish", "audit", "list", "--ver"],
      ["--verdict", "--version"],
    ],
    [
      ["hoopish", "audit", "list", "--verdict", ""],
      ["allow", "hold", "block"],
    ],
    [
      ["hoopish", "audit", "search", "--type", "agent.r"],
      ["agent.refused", "agent.revoked"],
    ],
    [["hoopish", "--json", "sessions", "k"], ["kill"]],
    [["hoopish", "completion", ""], expect.arrayContaining(["bash", "zsh", "fish"])],
    [
      ["hoopish", "connect", "model-x", "--re"],
      ["--reason", "--require-key"],
    ],
    [["hoopish", "connect", "model-x", "--", "bas"], expect.arrayContaining(["bash"])],
  ])("completes %j", async (words, wanted) => {
    expect(await complete(...words)).toEqual(wanted);
  });
});

describe.skipIf(!present("zsh"))("zsh", () => {
  it("is a script that zsh accepts", async () => {
    const driver = `autoload -U compinit && compinit -u -D\n${await script("zsh")}\nprint -r -- \${_comps[hoopish]}`;
    expect(execFileSync("zsh", ["-f", "-c", driver], { encoding: "utf8" }).trim()).toBe("_hoopish");
  });
});

const FISH = "fish";
describe.skipIf(!present(FISH))("fish", () => {
  async function complete(line: string): Promise<string[]> {
    const driver = `${await script("fish")}\ncomplete -C '${line}'`;
    const out = execFileSync(FISH, ["-N", "-c", driver], { encoding: "utf8" });
    return out
      .split("\n")
      .filter(Boolean)
      .map((found) => found.split("\t")[0] ?? "");
  }

  it.each([
    ["hoopish lo", ["login", "logout"]],
    ["hoopish sessions k", ["kill"]],
    ["hoopish audit list --verdict ", ["allow", "block", "hold"]],
    ["hoopish audit search --type agent.r", ["agent.refused", "agent.revoked"]],
    ["hoopish connect --requ", ["--require-key"]],
  ])("completes %j", async (line, wanted) => {
    expect((await complete(line)).sort()).toEqual(wanted);
  });
});

it("is usage for another shell", async () => {
  expect((await runCli(["completion", "tcsh"])).code).toBe(3);
});
