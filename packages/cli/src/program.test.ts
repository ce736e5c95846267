import { RECORD_TYPES } from "@hoopish/protocol";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { buildProgram } from "./program.ts";
import { RECORD_TYPE_WORDS } from "./record-types.ts";
import { runCli } from "./testing/world.ts";

const program = buildProgram({ writeOut: () => {}, writeErr: () => {}, columns: 100 }, undefined, () => {});
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

it("has the commands of this version, and no others", () => {
  expect(all(program).map(pathOf)).toEqual([
    "hoopish",
    "hoopish login",
    "hoopish logout",
    "hoopish whoami",
    "hoopish connections",
    "hoopish connect",
    "hoopish sessions",
    "hoopish sessions list",
    "hoopish sessions show",
    "hoopish sessions kill",
    "hoopish requests",
    "hoopish approve",
    "hoopish deny",
    "hoopish review",
    "hoopish lock",
    "hoopish unlock",
    "hoopish locks",
    "hoopish policy",
    "hoopish policy check",
    "hoopish policy test",
    "hoopish policy simulate",
    "hoopish policy coverage",
    "hoopish policy explain",
    "hoopish mask",
    "hoopish audit",
    "hoopish audit list",
    "hoopish audit show",
    "hoopish audit search",
    "hoopish audit replay",
    "hoopish audit export",
    "hoopish audit report",
    "hoopish audit report access",
    "hoopish audit verify",
    "hoopish audit receipt",
    "hoopish audit pin",
    "hoopish audit purge",
    "hoopish audit hold",
    "hoopish audit release",
    "hoopish agent",
    "hoopish agent enroll",
    "hoopish agent list",
    "hoopish agent revoke",
    "hoopish server",
    "hoopish witness",
    "hoopish witness start",
    "hoopish witness init",
    "hoopish doctor",
    "hoopish completion",
  ]);
});

describe("--help", () => {
  it.each(
    all(program)
      .map(pathOf)
      .filter((path) => path !== "hoopish server"),
  )("%s: says what it does, the global options, and an example", async (path) => {
    const { code, stdout, stderr } = await runCli([...path.split(" ").slice(1), "--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^Usage: hoopish/);
    for (const option of ["--json", "--server <url>", "--config-dir <dir>", "--quiet", "--help"]) {
      expect(stdout).toContain(option);
    }
    expect(stdout).toMatch(/Examples?:\n {2}\$ (TOKEN=\$\(|eval "\$\()?hoopish /);
  });
});

describe("mistakes in the command line", () => {
  it.each([
    [["conect"], "unknown command 'conect'", "Did you mean connect?"],
    [["audit", "list", "--sinse", "1h"], "unknown option '--sinse'", "Did you mean --since?"],
    [["audit", "export"], "required option '--since <time>' not specified", "24h"],
    [["audit", "export", "--resume", "--since", "1h", "-o", "x"], "cannot be used with option '--since <time>'", ""],
    [["audit", "export", "--resume", "--no-payloads", "-o", "x"], "cannot be used with option '--no-payloads'", ""],
    [["audit", "export", "--resume"], "what went to stdout", "-o"],
    [["audit", "export", "--since", "1h", "--user", "a@b"], "jsonl is all", "--format csv"],
    [["audit", "export", "--since", "1h", "--format", "ocsf", "--payloads"], "no room for bodies", "bundle"],
    [["audit", "export", "--since", "1h", "--format", "csv", "--session", "x"], "not a session's id", "sessions list"],
    [["connect"], "missing required argument 'name'", "hoopish --help"],
    [["sessions", "show", "ses_1"], '"ses_1" is not a session\'s id', "ses_"],
    [["audit", "show", "../../x"], '"../../x" is not a call\'s id', "call_"],
    [["audit", "search", "--type", "call.made"], "Allowed choices are call.decided, ", ""],
    [["audit", "search", "--session", "x"], "not a session's id", "sessions list"],
    [["audit", "receipt"], "name a call", "hoopish-call"],
    [["audit", "receipt", "--check", "x"], "--check needs the log's key", "--key VKEY"],
    [["audit", "replay"], "names no session", "sessions list"],
    [["audit", "replay", "call_1"], '"call_1" is not a session\'s id', "sessions list"],
    [["audit", "replay", "ses_1", "--reissue", "call_1"], "one call again", "one of the two"],
    [["audit", "replay", "--reissue", "ses_1"], '"ses_1" is not a call\'s id', "audit list"],
    [["audit", "replay", "ses_1", "--speed", "0"], "a number above 0, or max", ""],
    [["audit", "replay", `ses_${"1".repeat(32)}`, "--step"], "standard input is no terminal", "--speed"],
    [["audit", "list", "--since", "yesterday"], '"yesterday" is not a time', "24h"],
    [["audit", "hold", "--user", "eve"], "needs --reason", "--reason"],
    [["audit", "hold", "--reason", "x"], "would keep everything", "--user"],
    [["audit", "hold", "--list", "--user", "eve"], "--list shows holds", "one of the two"],
    [["audit", "hold", "--reason", "x", "--call", "ses_1"], '"ses_1" is not a call\'s id', "audit list"],
    [["audit", "hold", "--reason", "x", "--session", "../x"], '"../x" is not a session\'s id', "sessions list"],
    [["audit", "hold", "--reason", "x", "--until", "soon"], '"soon" is not a time', "24h"],
    [["audit", "release", "../holds", "--reason", "x"], '"../holds" is not a hold\'s id', "hold --list"],
    [["audit", "release", "hold_1"], "required option '--reason <text>' not specified", "hoopish --help"],
    [["requests", "../x"], '"../x" is not a request\'s id', "hoopish requests"],
    [["approve", "apr_1", "--reason", "x"], '"apr_1" is not a request\'s id', "hoopish requests"],
    [["approve"], "without a terminal, name the request", "hoopish requests"],
    [["deny", "apr_1"], "required option '--reason <text>' not specified", "hoopish --help"],
    [["review", "apr_1"], "required option '--reason <text>' not specified", "hoopish --help"],
    [["lock", "x"], "required option '--reason <text>' not specified", "hoopish --help"],
    [["lock", "x", "--reason", "y", "--agent", "--connection"], "exclude each other", "hoopish lock"],
    [["agent", "enroll", "Edge 1"], "is not an agent's name", "edge-1"],
    [["agent", "enroll", "edge-1", "--ttl", "2h"], "not between 30s and 1h", "15m"],
    [["witness"], "required option '--log <vkey...>' not specified", "hoopish --help"],
    [["witness", "init"], "required option '--name <name>' not specified", "hoopish --help"],
    [["witness", "init", "--name", "a b"], '"a b" is no name for a key', "no spaces"],
    [["witness", "--log", "x"], '"x" is no log\'s verifier key', "verifier key"],
    [["witness", "--log", "x", "--listen", "localhost"], '"localhost" is not an address and a port', "127.0.0.1:8460"],
    [["whoami", "--", "x"], "only connect takes a command", "connect"],
    [["connect", "a", "a", "--port", "0"], "a is named twice", ""],
  ])("%j exits with 3", async (argv, message, hint) => {
    const env = { HOOPISH_SERVER: "http://127.0.0.1:9", HOOPISH_TOKEN: "t" };
    const text = await runCli(argv, { env });
    expect(text.code).toBe(3);
    expect(text.stdout).toBe("");
    expect(text.stderr).toMatch(/^hoopish: .*\n {2}try: .*\n$/s);
    const json = await runCli(["--json", ...argv], { env });
    const { error } = JSON.parse(json.stderr);
    expect(error).toMatchObject({
      code: "usage",
      message: expect.stringContaining(message),
      hint: expect.stringContaining(hint),
    });
  });

  it("prints the help of a group without a word", async () => {
    const { code, stderr } = await runCli(["audit"]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^Usage: hoopish audit/);
  });
});

it("knows every type of record, and no other", () => {
  expect([...RECORD_TYPE_WORDS].sort()).toEqual([...RECORD_TYPES].sort());
});
