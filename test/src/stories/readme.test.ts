import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { binPath, type ProgramName, run } from "../world/program.ts";

/** What the README and the docs tell people to type exists, and what they link to is there. */

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "fixtures/README.md", ...below("docs")];

function below(dir: string): string[] {
  return readdirSync(join(ROOT, dir), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${dir}/${name}`);
}

const text = (page: string): string => readFileSync(join(ROOT, page), "utf8");
const manifest = JSON.parse(text("package.json")) as { scripts: Record<string, string> };

/** `hoopish …` at the start of a line of a code block: program, words up to the first option or value. */
function commands(page: string): { program: ProgramName; words: string[] }[] {
  const blocks = [...text(page).matchAll(/```[a-z]*\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  return blocks.flatMap((block) =>
    [...block.matchAll(/^(?:\$ )?(hoopish(?:-server|-agent)?) ([a-z][a-z -]*[a-z])/gm)].map((match) => ({
      program: match[1] as ProgramName,
      words: (match[2] ?? "").split(" ").filter((word) => !word.startsWith("-")),
    })),
  );
}

describe("what the pages say", () => {
  it("links to pages that exist", () => {
    const dead = PAGES.flatMap((page) =>
      [...text(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .map((match) => join(dirname(page), match[1] ?? ""))
        .filter((target) => {
          try {
            return execFileSync("test", ["-e", join(ROOT, target)]) === undefined;
          } catch {
            return true;
          }
        })
        .map((target) => `${page} → ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it("names files that exist, and tests by words that stand in them", () => {
    const wrong = PAGES.flatMap((page) =>
      [...text(page).matchAll(/`((?:packages|test|docs|scripts)\/[\w./-]+\.(?:ts|mjs|md))`(?: \("([^"]+)"\))?/g)]
        .filter(([, file = "", words = ""]) => !existsSync(join(ROOT, file)) || !text(file).includes(words))
        .map(([whole]) => `${page} → ${whole}`),
    );
    expect(wrong).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const named = PAGES.flatMap((page) =>
      [...text(page).matchAll(/npm run ([a-z:-]+)(?![a-z:-]| -w| --workspace)/g)].map((match) => match[1] ?? ""),
    );
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });

  const all = PAGES.flatMap((page) => commands(page).map((command) => ({ page, ...command })));

  it("has commands at all", () => {
    expect(all.length).toBeGreaterThan(10);
  });

  it.each(all)("$page: $program $words", async ({ program, words }) => {
    const known =
      program === "hoopish" && words[0] === "agent" ? words.slice(0, 2) : words.slice(0, program === "hoopish" ? 2 : 1);
    const attempt = run(program, [...known, "--help"]);
    const { code } = await attempt.ended;
    expect(code, attempt.stderr).toBe(0);
    expect(attempt.stdout).toContain("Usage");
  });
});

describe("an old Node", () => {
  it.each(["hoopish", "hoopish-server", "hoopish-agent"] as const)("%s says that it is too old", (name) => {
    const system = "/usr/bin/node";
    let version: string;
    try {
      version = execFileSync(system, ["--version"]).toString();
    } catch {
      version = "";
    }
    const source = readFileSync(binPath(name), "utf8");
    expect(source).toMatch(/24/);
    if (version === "" || Number(version.slice(1).split(".")[0]) >= 24) return;
    let said = "";
    let code = 0;
    try {
      execFileSync(system, [binPath(name), "--version"], { stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      const failed = error as { status: number; stderr: Buffer };
      code = failed.status;
      said = failed.stderr.toString();
    }
    expect(code).toBe(78);
    expect(said).toMatch(/needs Node 24/);
  });
});
