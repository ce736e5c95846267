// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { describe, expect, it } from "vitest";
import { loadConfig } from "./load.ts";
import { changed, mistakes, SAMPLE, worldOf } from "./testing/sample.ts";

describe("YAML", () => {
  it("anchors and aliases are taken; the place of a mistake is where the value stands", () => {
    const shared = SAMPLE.replace("limits: {", "limits: &l {").replace(
      "rules:\n",
      "  - { name: y, agent: e, api: oip, limits: *l }\nrules:\n",
    );
    expect(mistakes(shared)).toEqual([]);
    expect(mistakes(shared.replace("callSeconds: 300", "callSeconds: 0"))).toEqual([
      "23:73: connections[0].limits.callSeconds: write a whole number from 1 to 86400",
      "23:73: connections[1].limits.callSeconds: write a whole number from 1 to 86400",
    ]);
  });

  it.each<[string, string, string]>([
    [
      "an alias without an anchor",
      changed("[data-science]", "*x"),
      "27:57: rules[0].groups: no anchor of this name stands above",
    ],
    [
      "an alias to what it stands in",
      changed("[data-science]", "&x [*x]"),
      "27:61: rules[0].groups[0]: an alias to the value that it stands in",
    ],
    [
      "merge keys",
      changed("roles: {", "roles: { <<: { admin: [a] },"),
      "17:10: roles: merge keys (<<) are not taken: write the members out",
    ],
    ["tags", changed("model-x\n", "!!str model-x\n"), ""],
    [
      "unknown tags",
      changed("model-x\n", "!secret model-x\n"),
      "19:11: tags (!…) have no meaning in this configuration",
    ],
    ["binary", changed("model-x\n", "!!binary model-x\n"), "19:11: tags (!…) have no meaning in this configuration"],
    [
      "a second document",
      `${SAMPLE}---\nlisten: x\n`,
      "29:1: a configuration is one YAML document; a second one (---) begins here",
    ],
    ["tabs", changed(/^ {4}agent/m, "\tagent"), "20:1: a tab cannot indent YAML; use spaces"],
    ["an escape that does not exist", changed("edge-1", '"edge\\q1"'), ""],
    ["a key that is a list", changed(/^roles:/m, "? [a]\n: b\nroles:"), "17:3: a key must be a text"],
    ["an open quote", changed("edge-1", '"edge-1'), ""],
    ["no YAML", "\u0000\u0001", "1:1: the character U+0000 may not stand in a configuration"],
    [
      "a character that turns the direction",
      changed("edge-1", "edge-\u202e1"),
      "1:1: the character U+202E may not stand in a configuration",
    ],
    [
      "a carriage return alone",
      changed("edge-1", "edge-1 # x\r    limits: {}"),
      "1:1: the character U+000D may not stand in a configuration",
    ],
    ["nothing", "", "1:1: nothing is written here: write a mapping (key: value) here"],
    ["a comment", "# nothing\n", "1:1: nothing is written here: write a mapping (key: value) here"],
    ["a text", "hello", "1:1: write a mapping (key: value) here"],
    ["a list", "- a", "1:1: write a mapping (key: value) here"],
    ["a very deep list", "[".repeat(20_000), "1:1: nested too deeply"],
  ])("%s", (_what, text, expected) => {
    expect(mistakes(text)).toEqual(expected === "" ? expect.anything() : [expected]);
  });

  it("what is deeper than any configuration is not followed", () => {
    const found = mistakes(changed(/^roles:.*$/m, `roles: ${"[".repeat(40)}${"]".repeat(40)}`));
    expect(found).toEqual([
      "17:8: roles: write a mapping (key: value) here",
      `17:40: roles${"[0]".repeat(32)}: too large or too deep`,
    ]);
  });

  it("%YAML 1.1 does not make `yes` a flag", () => {
    const text = `%YAML 1.1\n---\n${changed("requireReason: true", "requireReason: yes")}`;
    expect(mistakes(text)).toEqual(["26:20: connections[0].requireReason: write true or false"]);
  });

  it("bytes that are not UTF-8 are no configuration", () => {
    expect(mistakes(Buffer.from([0x6c, 0x69, 0x73, 0xff]))).toEqual(["1:1: the file is not UTF-8 text"]);
    expect(mistakes(Buffer.from(SAMPLE, "utf16le"))).toHaveLength(1);
  });

  it("a billion laughs are cut short", () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = level === 0 ? Array(9).fill("ha") : Array(9).fill(`*a${level - 1}`);
      return `a${level}: &a${level} [${items.join(", ")}]`;
    });
    const started = performance.now();
    const found = mistakes(levels.join("\n"));
    expect(found).toContainEqual(expect.stringContaining("too large or too deep"));
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("a huge file ends soon, with a list of bounded length", () => {
    expect(mistakes(`#${"x".repeat(1_048_576)}`)).toEqual(["1:1: the file is larger than 1 MiB"]);
    const started = performance.now();
    const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}: 1`).join("\n");
    expect(mistakes(keys).length).toBeGreaterThan(10_000);
    const world = worldOf({ "/etc/h/config.yaml": keys });
    expect(() => loadConfig("/etc/h/config.yaml", world)).toThrow(
      /^the configuration has \d+ mistakes\n(.*\n){100}… and \d+ more$/,
    );
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});
