import { HoopishError, isErrorCode, toHoopishError } from "@hoopish/protocol";
import { Command, CommanderError } from "commander";
import { ConfigError } from "../config/load.ts";
import { VERSION } from "../version.ts";
import { check } from "./check.ts";
import { describe } from "./describe.ts";
import { init } from "./init.ts";
import { joinCommand } from "./join.ts";
import { start } from "./start.ts";
import type { World } from "./world.ts";

const DEFAULT_FILE = "agent.yaml";

/** Runs one command line (without `node` and the script) and resolves to its exit code. Never rejects. */
export async function run(argv: readonly string[], world: World): Promise<number> {
  try {
    await program(world).parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 3;
    return complain(world, convert(error), argv.includes("--json"));
  }
}

function program(world: World): Command {
  const root = new Command("hoopish-agent")
    .description("Holds the credential of model servers and carries calls to them.")
    .version(VERSION)
    .showHelpAfterError("  try: hoopish-agent --help")
    .configureOutput({
      writeOut: (text) => world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text.replace(/^error:/, "hoopish-agent:")),
    })
    .exitOverride();
  const command = (name: string, description: string, example: string): Command =>
    root
      .command(name)
      .description(description)
      .option("--config <file>", "the agent's configuration", DEFAULT_FILE)
      .option("--json", "print JSON", false)
      .addHelpText("after", `\nExample: hoopish-agent ${name} ${example}`);

  command("start", "connect to the server and serve until interrupted", "--config agent.yaml")
    .option("--exit-on-refusal", "end when the server refuses this agent, instead of asking again every minute", false)
    .action((options) => start(world, options));
  command("check", "read the configuration and report every mistake in it", "--config agent.yaml --json").action(
    (options) => check(world, options),
  );
  command("init", "write a commented configuration to fill in", "--config agent.yaml").action((options) =>
    init(world, options),
  );
  command(
    "join",
    "enrol with a one-time token, read from stdin unless given; makes the key where there is none",
    "--config agent.yaml < token",
  )
    .option("--token-file <file>", "a file that holds the token")
    .option("--token <token>", "the token itself; other users of this machine can see it, so prefer the others")
    .action((options) => joinCommand(world, options));
  command(
    "describe",
    "ask a gRPC target by server reflection what its services are, and write that to a file for the server",
    "scores --config agent.yaml --out scores.binpb",
  )
    .argument("<connection>", "its name in the configuration")
    .requiredOption("--out <file>", "where the descriptor set goes; - for standard output")
    .option("--force", "write over a file that exists", false)
    .action((connection, options) => describe(world, connection, options));
  return root;
}

/** An error of the tunnel carries the code of the server's refusal as text. */
function convert(error: unknown): HoopishError {
  if (error instanceof HoopishError || !(error instanceof Error) || !("code" in error)) return toHoopishError(error);
  if (!isErrorCode(error.code)) return toHoopishError(error, "unreachable", error.message);
  return toHoopishError(error, error.code, error.message);
}

function complain(world: World, error: HoopishError, json: boolean): number {
  if (error instanceof ConfigError) {
    // `check --json` has listed them already; elsewhere each mistake is a line that editors can follow.
    if (!json) world.stderr.write(`${error.message}\n`);
    else world.stderr.write(`${JSON.stringify({ ...error.toBody(), mistakes: error.mistakes })}\n`);
  } else if (json) {
    world.stderr.write(`${JSON.stringify(error.toBody())}\n`);
  } else {
    world.stderr.write(`hoopish-agent: ${error.message}\n`);
    if (error.hint !== undefined) world.stderr.write(`  try: ${error.hint}\n`);
  }
  return error.shape.exit;
}
